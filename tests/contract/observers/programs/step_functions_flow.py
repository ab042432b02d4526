"""State machines, by the names of scenarios, in moto's server, which executes them; `rota observe` looks on from outside."""

import json
import logging
import os
import socket
import subprocess
import sys
import time

with socket.create_server(("127.0.0.1", 0)) as _free:
    PORT = _free.getsockname()[1]
os.environ |= {"MOTO_PORT": str(PORT), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}", "AWS_DEFAULT_REGION": "eu-central-1"}
os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_CONFIG_FILE": os.devnull}
logging.disable(logging.CRITICAL)

import boto3  # noqa: E402
from moto.core.config import default_user_config  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

SCENARIOS, OBSERVE = sys.argv[1].split(), [sys.executable, "-m", "rota", "observe", "step-functions", "--every", "200ms"]
QUEUE = f"http://127.0.0.1:{PORT}/123456789012/late"  # made when somebody has missed it
SEND = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {"QueueUrl": QUEUE, "MessageBody": "x"}}
AGAIN = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
PART = {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "extract", "States": {"extract": {"Type": "Pass", "End": True}}}
FIRST: dict[str, dict[str, object]] = {
    "retry": {**SEND, "Retry": AGAIN},
    "upstream": {**SEND, "Parameters": {"QueueUrl": QUEUE + "-never", "MessageBody": "x"}},
    "cancel": {"Type": "Wait", "Seconds": 60},
    "fan_out": {"Type": "Map", "ItemsPath": "$.parts", "ItemProcessor": PART},
}


def machine(scenario):
    """A machine of that name: extract, then load."""
    first = "each" if scenario == "fan_out" else "extract"
    states: dict[str, dict[str, object]] = {
        first: {**FIRST.get(scenario, {"Type": "Pass"}), "Next": "load"},
        "load": {"Type": "Pass", "End": True},
    }
    if scenario == "failure":
        states["load"] = {"Type": "Fail", "Error": "ValueError", "Cause": "row 7"}
    definition = json.dumps({"StartAt": first, "States": states})
    return CLIENT.create_state_machine(name=scenario, definition=definition, roleArn="arn:aws:iam::123456789012:role/none")


def schedule(scenario):
    """A machine that EventBridge Scheduler starts."""
    arn = machine(scenario)["stateMachineArn"]
    if scenario == "schedule":
        boto3.client("scheduler").create_schedule(
            Name="nightly",
            ScheduleExpression="cron(0 2 * * ? *)",
            ScheduleExpressionTimezone="Europe/Berlin",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": arn, "RoleArn": "arn:aws:iam::123456789012:role/none"},
        )
    return arn


def types(execution):
    """Of its events."""
    return [event["type"] for event in CLIENT.get_execution_history(executionArn=execution)["events"]]


def until(true):
    """Wait."""
    while not true():
        time.sleep(0.05)


if __name__ == "__main__":
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=PORT, verbose=False)
    server.start()
    CLIENT = boto3.client("stepfunctions")
    machines = {scenario: schedule(scenario) for scenario in SCENARIOS}
    with subprocess.Popen(OBSERVE) as observer:
        until(lambda: os.path.isdir(os.path.join(os.environ["ROTA_HOME"], "observers")))  # it has looked once
        executions = {
            scenario: CLIENT.start_execution(stateMachineArn=arn, name="1", input='{"parts": [1, 2, 3]}')["executionArn"]
            for scenario, arn in machines.items()
        }
        if "retry" in SCENARIOS:
            until(lambda: "TaskFailed" in types(executions["retry"]))
            boto3.client("sqs").create_queue(QueueName="late")
        if "cancel" in SCENARIOS:
            until(lambda: "WaitStateEntered" in types(executions["cancel"]))
            CLIENT.stop_execution(executionArn=executions["cancel"])
        until(lambda: all(CLIENT.describe_execution(executionArn=each)["status"] != "RUNNING" for each in executions.values()))
        observer.terminate()
        assert observer.wait() == 0
    assert subprocess.call([*OBSERVE, "--once"]) == 0  # what had not been seen by then
    server.stop()
