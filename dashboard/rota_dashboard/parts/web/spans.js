// The spans of a run: read from one block of bytes (the layout is in shape/waterfall.py), and folded into rows.

const FAILED = 1, ELSEWHERE = 4, FOLD = 12; // prettier-ignore

/** Bytes → arrays side by side, none of them copied. */
export function unpack(given) {
  const bytes = given.byteOffset % 8 ? given.slice() : given; // arrays of numbers want to lie at multiples of their size
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const n = header.count;
  let at = bytes.byteOffset + 4 + size;
  const take = (kind) => {
    const array = new kind(bytes.buffer, at, n);
    at += n * kind.BYTES_PER_ELEMENT;
    return array;
  };
  const kinds = [Float64Array, BigUint64Array, Float32Array, Int32Array, Uint32Array, Uint32Array, Uint8Array];
  const [start, id, took, parent, name, calls, flags] = kinds.map(take);
  const now = header.now === null ? null : header.now - header.origin;
  const endOf = (i) => (Number.isNaN(took[i]) ? Math.max(start[i], now ?? start[i]) : start[i] + took[i]);
  let end = 1, failed = 0; // prettier-ignore
  for (let i = 0; i < n; i++) {
    end = Math.max(end, endOf(i));
    failed += flags[i] & FAILED;
  }
  return {
    run: header.run, count: n, total: header.total, start, parent, end, failed, endOf,
    nameOf: (i) => header.names[name[i]],
    nameNumber: name,
    callsOf: (i) => calls[i],
    idOf: (i) => id[i].toString(16).padStart(16, "0"),
    failedAt: (i) => (flags[i] & FAILED) > 0,
    elsewhere: (i) => (flags[i] & ELSEWHERE) > 0,
    runs: (i) => Number.isNaN(took[i]) && now !== null,
    tookOf: (i) => endOf(i) - start[i],
  }; // prettier-ignore
}

/** Spans → rows in the order in which they are read, folded where more than `FOLD` of one name lie side by side. */
export function build(spans, open, failedOnly) {
  const tree = new Tree(spans);
  const rows = [];
  tree.add(rows, tree.roots, 0, "", open, failedOnly, false);
  return rows;
}

class Tree {
  constructor(spans) {
    this.spans = spans;
    const n = spans.count;
    this.first = new Int32Array(n).fill(-1); // first child, and from child to child
    this.next = new Int32Array(n).fill(-1);
    this.below = new Uint8Array(n); // whether anything below failed
    const last = new Int32Array(n).fill(-1);
    this.roots = [];
    for (let i = 0; i < n; i++) {
      const up = spans.parent[i];
      if (up < 0) this.roots.push(i);
      else if (last[up] < 0) this.first[up] = last[up] = i;
      else last[up] = this.next[last[up]] = i;
    }
    for (let i = 0; i < n; i++) {
      if (!spans.failedAt(i)) continue;
      for (let up = spans.parent[i], hops = 0; up >= 0 && !this.below[up] && hops < n; up = spans.parent[up], hops++) this.below[up] = 1;
    }
    this.reached(n);
  }

  /** Spans that name each other as parents have no root above them: the first of each such ring is one. */
  reached(n) {
    const seen = new Uint8Array(n);
    const walk = (from) => {
      const waiting = [from];
      while (waiting.length) {
        const i = waiting.pop();
        if (seen[i]) continue;
        seen[i] = 1;
        for (let child = this.first[i]; child >= 0; child = this.next[child]) waiting.push(child);
      }
    };
    this.roots.forEach(walk);
    for (let i = 0; i < n; i++) if (!seen[i]) (this.roots.push(i), walk(i));
  }

  children(members) {
    const found = [];
    for (const i of members) for (let child = this.first[i]; child >= 0; child = this.next[child]) found.push(child);
    return found;
  }

  /** Rows for spans that lie side by side; those under a folded row are folded too, however few. */
  add(rows, siblings, depth, path, open, failedOnly, isFolded) {
    if (depth > 200) return;
    for (const members of this.groups(siblings, failedOnly, isFolded, open, path)) {
      const one = members.length === 1;
      const key = `${path}/${one ? this.spans.idOf(members[0]) : this.spans.nameOf(members[0])}`;
      const row = this.row(members, depth, key, open, one);
      rows.push(row);
      if (one && row.isOpen) this.add(rows, this.children(members), depth + 1, key, open, failedOnly, false);
      else if (!one && row.isOpen) for (const i of this.shown(members, failedOnly)) this.member(rows, i, depth + 1, key, open, failedOnly);
      else if (!one) this.add(rows, this.children(members), depth + 1, key, open, failedOnly, true);
    }
  }

  /** One of those that were folded. */
  member(rows, i, depth, path, open, failedOnly) {
    const key = `${path}/${this.spans.idOf(i)}`;
    const row = this.row([i], depth, key, open, true, false);
    rows.push(row);
    if (row.isOpen) this.add(rows, this.children([i]), depth + 1, key, open, failedOnly, false);
  }

  /** Names in the order of their first start; few of one name stay apart. */
  groups(siblings, failedOnly, isFolded) {
    const byName = new Map();
    for (const i of this.shown(siblings, failedOnly)) {
      const number = this.spans.nameNumber[i];
      byName.has(number) ? byName.get(number).push(i) : byName.set(number, [i]);
    }
    const groups = [];
    for (const members of byName.values()) {
      if (members.length > FOLD || (isFolded && members.length > 1)) groups.push(members);
      else for (const i of members) groups.push([i]);
    }
    return groups.sort((a, b) => this.spans.start[a[0]] - this.spans.start[b[0]] || a[0] - b[0]);
  }

  shown(members, failedOnly) {
    return failedOnly ? members.filter((i) => this.spans.failedAt(i) || this.below[i]) : members;
  }

  /** `open` holds what differs from the usual: a row of one is open, of many shut. */
  row(members, depth, key, open, isOpenUsually, hasChildren = this.first[members[0]] >= 0) {
    const { spans } = this;
    let failed = 0, total = 0, below = 0, calls = 0; // prettier-ignore
    for (const i of members) {
      failed += spans.failedAt(i) ? 1 : 0;
      below |= this.below[i];
      total += spans.tookOf(i);
      calls += spans.callsOf(i);
    }
    const one = members.length === 1;
    const canOpen = !one || this.first[members[0]] >= 0;
    const isOpen = canOpen && open.has(key) !== (isOpenUsually && hasChildren);
    return { members, depth, key, name: spans.nameOf(members[0]), failed, failedBelow: below > 0, total, calls, canOpen, isOpen };
  }
}
