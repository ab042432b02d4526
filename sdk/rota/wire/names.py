"""Every attribute and event name that rota writes or reads, once.

Names come from the OpenTelemetry semantic conventions where there is one; ``rota.*`` fills the gaps.
"""

SCOPE = "rota"  # the instrumentation scope of everything the SDK writes

# Events: log records with a top-level event_name.
RUN_STATE_EVENT = "rota.run.state"
TASK_STATE_EVENT = "rota.task.state"
SCHEDULE_EVENT = "rota.workflow.schedule"  # how a system schedules a workflow; without a rota.schedule.spec: not at all
LOOK_EVENT = "rota.observer.look"  # an observer told all that a system's history had at the record's time
SLOT_EVENT = "rota.slot.verdict"  # what became of a slot; written by the collector, as is the next
INCIDENT_EVENT = "rota.incident"
DECISION_EVENT = "rota.gate.decision"  # what a gate said, with the answers and facts of all gates as JSON in its body
OUTPUT_EVENT = "rota.output"  # what a run wrote, or the end of it, as the body
OUTPUT_STREAM = "log.iostream"  # "stdout" or "stderr"; absent when both were one
OUTPUT_BYTES = "rota.output.bytes"  # written in all

# The run (CI/CD conventions, then ours).
WORKFLOW = "cicd.pipeline.name"
RUN_ID = "cicd.pipeline.run.id"
PIPELINE_RESULT = "cicd.pipeline.result"
PARENT_RUN_ID = "rota.run.parent.id"
RUN_SCOPE = "rota.run.scope"  # "process": the run is its process; "inner": one run among others inside a process
# ... "part": said by a script under `rota exec`, whose run it is; "foreign": of another system, told by an observer
NAME_SOURCE = "rota.workflow.named_by"  # "given", or "script": taken from the script's file name
RUN_STARTED = "rota.run.started"  # Unix time in ns, repeated on the end event so that an end alone gives a duration
EVENT_ID = "rota.event.id"
STATE = "rota.run.state"
REASON = "rota.state.reason"
RAW_STATE = "rota.state.raw"
ATTEMPT = "rota.attempt"  # of a run, or of a task; 1 when left out
RETRY_WAIT = "rota.retry.wait_seconds"  # until the next attempt begins
SLOT = "rota.slot"  # nominal time of the slot, Unix time in ns
SOURCE = "rota.source"
TAGS = "rota.tags"
DROPPED_SPANS = "rota.dropped.spans"
DROPPED_EVENTS = "rota.dropped.events"
OBSERVER_PLACE = "rota.observer.place"  # tells the system from others of its kind, as the observer was told where it is
OBSERVER_EVERY = "rota.observer.every_seconds"  # the next look begins by then
OBSERVER_PROBLEM = "rota.observer.problem"  # why it could not look
SCHEDULE_SPEC = "rota.schedule.spec"
SCHEDULE_TZ = "rota.schedule.tz"
SCHEDULE_GRACE = "rota.schedule.grace"
MAX_DURATION = "rota.expect.max_duration"

# The slot and the incident, as the collector tells them.
SLOT_DEADLINE = "rota.slot.deadline"  # Unix time in ns, as rota.slot
SLOT_VERDICT = "rota.slot.verdict"
SLOT_REVISION = "rota.slot.revision"  # how often the slot was judged by then, from 1
POLICY_VERSION = "rota.policy.version"
INSTANCE_HOST = "rota.instance.host"  # of an instance that is a workflow on one host
INCIDENT_ID = "rota.incident.id"
INCIDENT_KIND = "rota.incident.kind"
INCIDENT_TRANSITION = "rota.incident.transition"
INCIDENT_SUMMARY = "rota.incident.summary"
INCIDENT_OPENED = "rota.incident.opened"  # Unix time in ns
INCIDENT_GROUP = "rota.incident.group"  # id of the incident that speaks for it: of its host, its upstream, or our downtime
INCIDENT_BY = "rota.incident.by"  # the person who acted

# A decision of gates; the run, its attempt and task are named as everywhere.
GATE_ANSWER = "rota.gate.answer"  # go, wait, skip, deny; of a rule also cancel, alert
GATE_NUMBER = "rota.gate.number"  # of the gate that decided, its place in the policy; absent where all say go
GATE_KIND = "rota.gate.kind"
GATE_TICKET = "rota.gate.ticket"  # of the question, which may have several answers one after the other

# The task.
TASK_NAME = "cicd.pipeline.task.name"
TASK_STATE = "rota.task.state"
TASK_PARENT_ID = "rota.task.parent.id"  # on the start event: the span id of what the task runs in
TASK_RESULT = "cicd.pipeline.task.run.result"
TEST_STATUS = "test.case.result.status"  # of a task that is a test

# What permission a run's tasks asked for.
LEASE_TOKENS = "rota.lease.tokens"  # what the run was granted: "workflow etl=17", a number that only grows
LEASE_LOST = "rota.lease.lost"  # why it could not be believed any more while the run went on
PERMISSION_RAN = "rota.permission.ran"  # how many functions ran as tasks, by name
PERMISSION_ASKED = "rota.permission.asked"  # how many of them asked
PERMISSION_UNMATCHED = "rota.permission.unmatched"  # patterns of the policy that matched no function: a rename, perhaps
PERMISSION_UNREACHED = "rota.permission.unreached"  # functions that match and could not be made to ask

# Where and what.
SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
ENVIRONMENT = "deployment.environment.name"
HOST_NAME = "host.name"
HOST_ID = "host.id"
CONTAINER_ID = "container.id"
CGROUP = "process.linux.cgroup"
CPU_LIMIT = "rota.cgroup.cpu.limit"  # CPUs, such as 0.5
MEMORY_LIMIT = "rota.cgroup.memory.limit"  # bytes
POD_NAME = "k8s.pod.name"
POD_NAMESPACE = "k8s.namespace.name"
POD_UID = "k8s.pod.uid"
POD_CONTAINER = "k8s.container.name"
POD_NODE = "k8s.node.name"
POD_JOB = "k8s.job.name"
POD_CRON_JOB = "k8s.cronjob.name"
PROCESS_PID = "process.pid"
PROCESS_UID = "process.real_user.id"
PROCESS_EXIT_CODE = "process.exit.code"
PROCESS_SIGNAL = "rota.process.signal"  # its name: SIGKILL
PROCESS_COMMAND = "process.command"  # the first word of a command line; its arguments may hold secrets
CPU_USER = "rota.process.cpu.user_seconds"  # these five: of the command and all children that it waited for
CPU_SYSTEM = "rota.process.cpu.system_seconds"
MEMORY_PEAK = "rota.process.memory.peak"  # bytes, of the largest of them
BLOCKS_READ = "rota.process.disk.blocks_read"
BLOCKS_WRITTEN = "rota.process.disk.blocks_written"
MEASURED_BY = "rota.process.measured_by"  # "samples": of what the agent saw every few seconds; absent: the kernel's account
DESCENDANTS = "rota.process.descendants"  # a metric: how many processes descend from it
AGENT_UPTIME = "rota.agent.uptime"  # a metric, the heartbeat of a host's agent: seconds, twice a minute
RUNTIME_NAME = "process.runtime.name"
RUNTIME_VERSION = "process.runtime.version"
CODE_FILE = "code.file.path"
CODE_SHA256 = "rota.code.sha256"  # of the script, in hex, when no repository tells a commit
VCS_REVISION = "vcs.ref.head.revision"
VCS_HEAD = "vcs.ref.head.name"
VCS_URL = "vcs.repository.url.full"  # without credentials
SDK_NAME = "telemetry.sdk.name"
SDK_LANGUAGE = "telemetry.sdk.language"
SDK_VERSION = "telemetry.sdk.version"

# Calls into libraries (conventions for HTTP, databases, processes; then ours).
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_FULL = "url.full"  # without user, query and fragment
HTTP_STATUS = "http.response.status_code"
HTTP_REQUEST_BYTES = "http.request.body.size"
HTTP_RESPONSE_BYTES = "http.response.body.size"
RPC_SYSTEM = "rpc.system"
RPC_SERVICE = "rpc.service"
RPC_METHOD = "rpc.method"
S3_BUCKET = "aws.s3.bucket"
DB_SYSTEM = "db.system.name"
DB_OPERATION = "db.operation.name"
DB_SUMMARY = "db.query.summary"
DB_QUERY = "db.query.text"  # only when it holds no literals
DB_ROWS = "db.response.returned_rows"  # as the program fetched them
ROWS_AFFECTED = "rota.rows.affected"
EXECUTABLE = "process.executable.name"
MAIL_RECIPIENTS = "rota.mail.recipients"
MAIL_REFUSED = "rota.mail.refused"
MAIL_BYTES = "rota.mail.bytes"
DATASET_NAME = "rota.dataset.name"  # a path, or a URL without user, query and fragment
DATASET_ACCESS = "rota.dataset.access"  # "read" or "write"
DATASET_ROWS = "rota.dataset.rows"
DATASET_BYTES = "rota.dataset.bytes"
CALLS_COUNT = "rota.calls.count"  # of a span that stands for many calls of one kind; these add up
CALLS_FAILED = "rota.calls.failed"
CALLS_BUSY = "rota.calls.busy"  # ns inside the library

# What a program logged or was warned of.
LOGGER = "rota.logger"
LOGS_LEFT_OUT = "rota.logs.left_out"  # of a run that logged more than is kept
WARNING_CATEGORY = "rota.warning.category"
CODE_LINE = "code.line.number"
CODE_FUNCTION = "code.function.name"

# What OpenLineage clients say of a run.
LINEAGE_EVENT = "rota.lineage"  # an event that tells no state
ENGINE_NAME = "rota.engine.name"
ENGINE_VERSION = "rota.engine.version"
PRODUCER = "rota.lineage.producer"  # a URL of the client's source

# Who sent it, or said it.
USER_NAME = "user.name"
USER_AGENT = "user_agent.original"
CLIENT_ADDRESS = "client.address"
HTTP_METHOD = "http.request.method"

# What went wrong.
ERROR_TYPE = "error.type"
EXCEPTION_EVENT = "exception"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACK = "exception.stacktrace"

# HTTP answer headers of a rota collector; over gRPC, in small letters, its initial metadata.
COLLECTOR_HEADER = "Rota-Collector"  # its version: says "this OTLP receiver is rota and keeps run states"
POLICY_HEADER = "Rota-Policy"  # a number that changes with the policies that ask; "0": nothing is asked of any run
HTTP_PORT_HEADER = "Rota-HTTP-Port"  # of answers over gRPC: where the same collector's API listens
