"""What the compose file promises, each tried on the running stack."""

import base64
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from stack import PATIENCE_S, Broken, docker, eventually

GATEWAY = "http://localhost:8700"
QUERY = "http://localhost:8701"
STAGES = ["ingest-proxy", "masker", "approver", "archiver", "query"]
# Services that run on; the others do what they do and end.
RUNNING = [*STAGES, "langgraph", "kafka", "registry", "s3", "keycloak"]
# Whose secrets are whose, and by which user each service runs.
OWNERS = {
    "ingest-proxy": 10001,
    "masker": 10002,
    "approver": 10003,
    "archiver": 10004,
    "query": 10005,
    "s3": 10006,
    "keycloak": 1000,
}
# What a log may say here, since it is so here: docs/quickstart.md tells of it.
EXPECTED = ["tokens come in clear: no TLS here"]
PLANTED = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
WORKERS = 4
# Where the others listen, and what else a machine may.
PORTS = [9092, 8080, 7070, 8701, 8702, 22, 80]


# ---------------------------------------------------------------- health


def everything_is_healthy(stack):
    eventually("everything is healthy", PATIENCE_S, lambda: not unhealthy(stack))
    init = [c for c in stack.containers() if c["Service"] == "init"]
    if [(c["State"], c["ExitCode"]) for c in init] != [("exited", 0)]:
        raise Broken("init did not end well")


def unhealthy(stack):
    """Services of which a container is not healthy, or that have none."""
    containers = stack.containers()
    states = {name: [c["Health"] for c in containers if c["Service"] == name] for name in RUNNING}
    return [name for name, healths in states.items() if set(healths) != {"healthy"}]


def nothing_scary_is_said(stack, printed):
    """Neither by compose nor in a log; of other people's programs, that they warn is their affair."""
    scary = [line for line in printed.splitlines() if re.search(r"(?i)\b(warn|error|fatal)", line)]
    for service in RUNNING:
        ours = service in STAGES
        bad = r'"level":"(WARN|ERROR)"|panicked' if ours else r"\b(ERROR|FATAL|SEVERE|Exception)\b"
        for line in stack.compose("logs", "--no-log-prefix", service).stdout.splitlines():
            if re.search(bad, line) and not any(said in line for said in EXPECTED):
                scary.append(f"{service}: {line[:300]}")
    if scary:
        raise Broken("scary lines:\n" + "\n".join(scary[:20]))


# ---------------------------------------------------------------- secrets


def each_service_has_its_own_secrets(stack):
    given = all_secrets(stack)
    (opening,) = [file for file in given["masker-secrets"] if file.startswith("keys/opening/")]
    (masker,) = stack.names("masker")
    status, said = stack.inside(masker, "stat", "-c", "%u %a", f"/run/trailgate/{opening}")
    if (status, said.strip()) != (0, "10002 600"):
        raise Broken(f"the opening key: {said}")
    for service in RUNNING:
        (container,) = stack.names(service)
        # Each container tries what the others have.
        others = foreign(given, service)
        paths = sorted({f"/run/trailgate/{file}" for file, _ in others})
        _, said = stack.inside(container, "sh", "-c", 'cat "$@" 2>/dev/null', "sh", *paths)
        for file, content in others:
            if content in said:
                raise Broken(f"{service} reads another's {file}")
    # Even if the masker's volume were mounted in another's container, its user could not read it.
    for service, user in OWNERS.items():
        tried = docker(
            "run", "--rm", "--network=none", f"--user={user}:{user}",
            "-v", f"{stack.project}_masker-secrets:/other:ro",
            "--entrypoint=cat", image_of(stack, "init"), f"/other/{opening}", check=False,
        )
        if (tried.returncode == 0) != (service == "masker"):
            raise Broken(f"the user of {service} and the opening key: status {tried.returncode}")


def foreign(given, service):
    """File and content of what others have and this service has not."""
    own = set(given.get(f"{service}-secrets", {}).values())
    private = ((f, c) for files in given.values() for f, c in files.items() if "public/" not in f)
    return [(file, content) for file, content in private if content not in own]


def no_secret_is_in_an_image_or_the_file(stack):
    values = {value for files in all_secrets(stack).values() for value in files.values()}
    words = {word for value in values for word in re.findall(r"[0-9a-f]{48,}", value)}
    if len(words) < 10:
        raise Broken("too few secrets were found to look for")
    told = stack.compose("--profile", "*", "config").stdout
    told += "".join(path.read_text(errors="replace") for path in (stack.folder / "deploy").rglob("*.*"))
    for service in stack.services():
        # As it is described, its environment included; its files have been made before any secret was.
        told += docker("image", "inspect", image_of(stack, service)).stdout
        for name in stack.names(service):
            told += docker("inspect", name).stdout
    if any(word in told for word in words):
        raise Broken("a secret stands in a file, an image or a container's description")


def a_second_start_changes_no_secret(stack, page):
    before = all_secrets(stack)
    stack.compose("stop", patience=300)
    page.run("up", patience=1800)
    if all_secrets(stack) != before:
        raise Broken("the second start changed a secret")
    everything_is_healthy(stack)


def all_secrets(stack):
    """Volume to file to content, as root of the machine reads them."""
    volumes = ["made-secrets", "people-secrets", *(f"{owner}-secrets" for owner in OWNERS)]
    return {volume: files_of(stack, volume) for volume in volumes}


def files_of(stack, volume):
    script = 'find . -type f | while read -r f; do printf "%s %s\n" "$f" "$(base64 -w0 "$f")"; done'
    lines = docker(
        "run", "--rm", "--network=none", "--user=0:0", "-v", f"{stack.project}_{volume}:/v:ro",
        "-w", "/v", "--entrypoint=sh", image_of(stack, "init"), "-c", script,
    ).stdout.splitlines()
    pairs = (line.split(" ", 1) for line in lines)
    return {name.removeprefix("./"): base64.b64decode(text).decode() for name, text in pairs}


def image_of(stack, service):
    return stack.services()[service]["image"]


# ---------------------------------------------------------------- networks


def the_app_is_alone_with_the_gateway(stack):
    (app,) = stack.names("langgraph")
    address = docker(
        "inspect", app, "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    ).stdout.strip()
    where = f"http://{address}:2024/ok"
    # The gateway reaches it, so what follows is no mere silence.
    gateway_reaches = stack.names("ingest-proxy")[0]
    if "true" not in asked_from(stack, gateway_reaches, address, 2024, "/ok"):
        raise Broken("the gateway does not reach the app")
    for service in RUNNING:
        if service in ("langgraph", "ingest-proxy"):
            continue
        if "true" in asked_from(stack, stack.names(service)[0], address, 2024, "/ok"):
            raise Broken(f"{service} reaches the app")
    try:
        with urllib.request.urlopen(where, timeout=3) as answer:
            if b"true" in answer.read():
                raise Broken("the machine reaches the app")
    except (urllib.error.URLError, OSError):
        pass
    published = docker("port", app).stdout.strip()
    if published:
        raise Broken(f"the app is published: {published}")
    # Out: no other service, by name or address, nor the machine, nor what is behind it.
    others = [service for service in RUNNING if service not in ("langgraph", "ingest-proxy")]
    script = 'for name in "$@"; do timeout 8 getent hosts "$name" && echo "known $name" & done; wait'
    _, said = stack.inside(app, "bash", "-c", script, "bash", *others, "example.org", "langgraph")
    known = re.findall(r"known (\S+)", said)
    if known != ["langgraph"]:
        raise Broken(f"the app resolves {known}")
    targets = [(name, address) for other in others for name in stack.names(other)
               for address in addresses(name)]
    targets += [("the machine", bridge_address(stack, "edge")), ("the outside", "203.0.113.1")]
    tries = [f"{address}/{port}" for _, address in targets for port in PORTS]
    script = (
        'for at in "$@"; do timeout 3 bash -c "exec 3<>/dev/tcp/$at" 2>/dev/null '
        '&& echo "reached $at" & done; wait'
    )
    _, said = stack.inside(app, "bash", "-c", script, "bash", *tries, "127.0.0.1/2024")
    reached = re.findall(r"reached (\S+)", said)
    # It reaches itself, so the tries are real.
    if reached != ["127.0.0.1/2024"]:
        raise Broken(f"the app reaches {reached}")


def asked_from(stack, container, address, port, path):
    """What an HTTP request out of a container is answered, with nothing but its shell."""
    script = (
        f"exec 3<>/dev/tcp/{address}/{port} && "
        f"printf 'GET {path} HTTP/1.0\\r\\nhost: x\\r\\n\\r\\n' >&3 && cat <&3"
    )
    _, said = stack.inside(container, "timeout", "3", "bash", "-c", script)
    return said


def addresses(container):
    said = docker(
        "inspect", container, "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    ).stdout
    return said.split()


def bridge_address(stack, network):
    return docker(
        "network", "inspect", f"{stack.project}_{network}", "--format", "{{(index .IPAM.Config 0).Gateway}}"
    ).stdout.strip()


# ---------------------------------------------------------------- the path of an event


def rows_are_there_within(stack, page, seconds):
    sent = json.loads(page.said("run").strip().splitlines()[-1])
    began = time.monotonic()
    counted = "SELECT count(*) AS n FROM nodes WHERE status <> 'started'"
    token = page.variable("TOKEN")
    eventually("rows of the run", seconds, lambda: sql(token, counted)[0]["n"] >= sent["nodes"])
    print(f"   {sent['nodes']} node executions by SQL after {time.monotonic() - began:.1f} s", flush=True)


def secrets_are_masked(page):
    said = page.said("masked") + page.said("rows")
    if PLANTED in said or "[github_token:" not in said:
        raise Broken("the planted secret is not masked")
    if '"actor":"ann"' not in said:
        raise Broken("the rows do not name ann")


def the_agent_may_run_and_not_read(stack, page):
    token = page.variable("AGENT_TOKEN")
    status, _ = http(f"{GATEWAY}/assistants/search", token, b"{}")
    if status != 200:
        raise Broken(f"the agent is answered {status} by the gateway")
    status, _ = http(f"{QUERY}/v1/sql", token, b"SELECT 1")
    if status not in (401, 403):
        raise Broken(f"the agent is answered {status} by query")


# ---------------------------------------------------------------- approvals and OCSF


def what_is_approved_is_forwarded(stack, page):
    """Held, approved by bob, and then the thread is gone."""
    page.run("hold", "approve")
    said = page.said("approve").strip().splitlines()
    if said[-1] != "204":
        raise Broken(f"what was approved is answered {said[-3:]}")
    status, _ = http(f"{GATEWAY}/threads/{page.variable('thread')}", page.variable("TOKEN"), None)
    if status != 404:
        raise Broken(f"the thread is still there: {status}")
    kinds = "SELECT kind FROM events WHERE hold_id IS NOT NULL ORDER BY gateway_time"
    wanted = ["held", "voted", "approved", "executed"]
    eventually(
        "held, voted, approved, executed in the trail",
        PATIENCE_S,
        lambda: [row["kind"] for row in sql(page.variable("TOKEN"), kinds)
                 if row["kind"] in wanted] == wanted,
    )


def what_is_denied_is_403(stack, page):
    """Held, denied by bob: 403 for the caller, and the thread is still there."""
    page.run("hold-again", "deny")
    said = page.said("deny").strip().splitlines()
    if said[-1] != "403" or "approval_denied" not in page.said("deny"):
        raise Broken(f"what was denied is answered {said[-3:]}")
    status, _ = http(f"{GATEWAY}/threads/{page.variable('thread')}", page.variable("TOKEN"), None)
    if status != 200:
        raise Broken(f"the thread is gone: {status}")


def a_siem_reads_ocsf(stack, page):
    """kcat reads `audit.siem`: an OCSF object a line."""
    page.run("siem")
    lines = [line for line in page.said("siem").splitlines() if line.startswith("{")]
    if not lines or any("class_uid" not in json.loads(line) for line in lines):
        raise Broken("audit.siem has no OCSF")
    if PLANTED in page.said("siem"):
        raise Broken("the planted secret is on audit.siem")


# ---------------------------------------------------------------- kills


def nothing_is_lost_or_doubled_when_stages_are_killed(stack, page):
    token = page.variable("TOKEN")
    with tempfile.TemporaryDirectory(prefix="trailgate-load-") as folder:
        folder = Path(folder)
        (folder / "token").write_text(token, encoding="utf-8")
        load = start_load(stack, folder)
        try:
            for stage in ["masker", "approver", "archiver", "query", "ingest-proxy"]:
                kill_one_under_load(stack, stage, folder)
            wait_for_runs(folder, 20)
        finally:
            (folder / "stop").touch()
            load.wait(timeout=60)
        runs = [json.loads(line) for line in (folder / "runs").read_text().splitlines()]
    whole = [run for run in runs if run["whole"]]
    print(f"   {len(whole)} runs came back whole, {len(runs) - len(whole)} broke off", flush=True)
    if len(whole) < 40:
        raise Broken("too few runs to tell anything")
    eventually("each run in the trail", PATIENCE_S, lambda: not missing(token, whole))
    nothing_twice(token, whole)


def start_load(stack, folder):
    command = [
        str(stack.folder / ".venv/bin/python"), str(stack.folder / "tests/compose/load.py"),
        GATEWAY, str(folder / "token"), str(WORKERS), str(folder / "stop"),
    ]
    with open(folder / "runs", "wb") as runs:
        load = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=runs, stderr=sys.stderr)
    wait_for_runs(folder, 5)
    return load


def kill_one_under_load(stack, stage, folder):
    name = stack.names(stage)[0]
    began = time.monotonic()
    docker("kill", name)
    if stage != "ingest-proxy":
        # Its siblings, or those before and behind it, go on.
        wait_for_runs(folder, 10)
    docker("start", name)
    eventually(
        f"{name} is healthy again",
        PATIENCE_S,
        lambda: docker("inspect", name, "--format", "{{.State.Health.Status}}").stdout.strip() == "healthy",
    )
    wait_for_runs(folder, 10)
    print(f"   killed {name}, healthy again after {time.monotonic() - began:.1f} s", flush=True)


def wait_for_runs(folder, more):
    """Until so many more runs have come back whole."""

    def whole():
        return (folder / "runs").read_bytes().count(b'"whole": true')

    wanted = whole() + more
    eventually(f"{more} more runs", PATIENCE_S, lambda: whole() >= wanted)


def missing(token, runs):
    """Marks of whole runs that the trail does not have yet."""
    statement = "SELECT payload FROM events WHERE kind = 'request' AND payload LIKE '%mark-%'"
    told = "\n".join(row["payload"] for row in sql(token, statement))
    nodes = node_counts(token)
    return [r["mark"] for r in runs if r["mark"] not in told or not nodes.get(r["run_id"])]


def nothing_twice(token, runs):
    (counted,) = sql(token, "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM events")
    if counted["n"] != counted["ids"]:
        raise Broken(f"{counted['n']} events, {counted['ids']} ids")
    statement = "SELECT payload FROM events WHERE kind = 'request' AND payload LIKE '%mark-%'"
    told = "\n".join(row["payload"] for row in sql(token, statement))
    nodes = node_counts(token)
    for one in runs:
        if told.count(one["mark"]) != 1 or nodes[one["run_id"]] != 1:
            raise Broken(f"{one['mark']}: {told.count(one['mark'])} requests, {nodes[one['run_id']]} nodes")
    gaps = sql(token, "SELECT reason, count FROM events WHERE kind = 'gap'")
    if gaps:
        raise Broken(f"records are missing: {gaps}")
    print(f"   {counted['n']} events, each once; {len(runs)} marks, each once", flush=True)


def node_counts(token):
    statement = (
        "SELECT run_id, count(*) AS n FROM nodes "
        "WHERE node = 'gives_back' AND status = 'finished' GROUP BY run_id"
    )
    return {row["run_id"]: row["n"] for row in sql(token, statement)}


# ---------------------------------------------------------------- the end


def both_gateways_answer(stack, page):
    token = page.variable("TOKEN")
    ports = re.findall(r"127\.0\.0\.1:(\d+)", page.said("several-gateways"))
    if len(set(ports)) != 2:
        raise Broken(f"two gateways at {ports}")
    for port in ports:
        status, _ = http(f"http://localhost:{port}/assistants/search", token, b"{}")
        if status != 200:
            raise Broken(f"the gateway at {port} answers {status}")


def nothing_is_left(stack):
    label = f"label=com.docker.compose.project={stack.project}"
    for what in (["ps", "--all"], ["volume", "ls"], ["network", "ls"]):
        left = docker(*what, "--quiet", "--filter", label).stdout.split()
        if left:
            raise Broken(f"left behind: {what[0]} {left}")


# ---------------------------------------------------------------- asking


def sql(token, statement):
    status, body = http(f"{QUERY}/v1/sql", token, statement.encode())
    if status != 200:
        raise Broken(f"query answers {status}: {body[:400]}")
    lines = [json.loads(line) for line in body.splitlines()]
    if not lines or "complete_until" not in lines[-1] or lines[-1].get("cut"):
        raise Broken("the answer is not whole")
    return lines[:-1]


def http(url, token, body):
    kind = "application/sql" if url.endswith("/sql") else "application/json"
    headers = {"authorization": f"Bearer {token}", "content-type": kind}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
