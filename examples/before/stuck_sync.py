"""Copies a ledger to its peer, which took the connection and never answers: this script waits for ever, and uses no CPU."""

import socket


def connect(address):
    return socket.create_connection(address)


def sync(connection):
    connection.sendall(b"SYNC ledger\n")
    print("waiting for the peer", flush=True)
    return connection.recv(1024)


def main():
    with socket.create_server(("127.0.0.1", 0)) as peer, connect(peer.getsockname()) as connection:
        print("the peer said", sync(connection))


if __name__ == "__main__":
    main()
