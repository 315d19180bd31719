"""A stack of docker compose under a name of its own, and the page of commands that drives it."""

import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time

PATIENCE_S = 300


class Broken(Exception):
    """What is promised does not hold."""


class Stack:
    """What `docker compose` runs in one folder, under a project name of its own."""

    def __init__(self, folder, with_stand_ins):
        self.folder = folder
        self.project = f"trailgate-test-{secrets.token_hex(3)}"
        files = ["docker-compose.yml"]
        if with_stand_ins:
            files.append("tests/compose/stand-ins.yml")
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.project,
            "COMPOSE_FILE": ":".join(files),
            "COMPOSE_PROGRESS": "plain",
            # It would warn where there is no buildx.
            "COMPOSE_BAKE": "false",
        }

    def compose(self, *words, check=True, patience=PATIENCE_S):
        command = ["docker", "compose", *words]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=patience,
        )
        if check and done.returncode != 0:
            raise Broken(f"failed: {' '.join(command)}\n{(done.stdout + done.stderr)[-4000:]}")
        return done

    def containers(self):
        """All containers of the project, those of one-off commands left out."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def names(self, service):
        """The containers of a service, by name."""
        return sorted(c["Name"] for c in self.containers() if c["Service"] == service)

    def services(self):
        return json.loads(self.compose("config", "--format", "json").stdout)["services"]

    def inside(self, container, *words):
        """Runs a command in a container, as its user. Gives status and what it said."""
        done = docker("exec", container, *words, check=False)
        return done.returncode, done.stdout + done.stderr

    def remove(self):
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", check=False, patience=300)


class Quickstart:
    """The commands of docs/quickstart.md, each block by the name of its step, run in one shell."""

    def __init__(self, stack):
        text = (stack.folder / "docs" / "quickstart.md").read_text(encoding="utf-8")
        named = re.findall(r"<!-- step: ([a-z-]+) -->\n```sh\n(.*?)\n```", text, re.DOTALL)
        if len(named) != text.count("```sh"):
            raise Broken("docs/quickstart.md has a block of commands without a step's name")
        self.blocks = dict(named)
        self.outputs = {}
        self.shell = Shell(stack.folder, stack.environment)

    def run(self, *steps, patience=PATIENCE_S):
        for name in steps:
            began = time.monotonic()
            status, said = self.shell.run(self.blocks[name], patience)
            self.outputs[name] = said
            if status != 0:
                raise Broken(f"quickstart, {name}: status {status}\n{said[-4000:]}")
            print(f"   {name}: {time.monotonic() - began:.1f} s", flush=True)

    def said(self, name):
        return self.outputs[name]

    def variable(self, name):
        status, said = self.shell.run(f'printf "%s" "${name}"', PATIENCE_S)
        if status != 0 or not said:
            raise Broken(f"quickstart: ${name} is not set")
        return said

    def left_out(self):
        return sorted(set(self.blocks) - set(self.outputs))


class Shell:
    """One bash that keeps its variables from block to block."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def end(self):
        """Ends it with what it runs: a command that goes on would make anew what is removed."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def run(self, block, patience):
        """Status and output. The first command that fails ends the block, also in a pipe."""
        mark = f"end-of-block-{secrets.token_hex(8)}"
        # Blocks set variables for later ones, so they run in this shell and not in one below it.
        self.process.stdin.write(
            f"set -o pipefail\n_all() {{\n{_each_or_return(block)}\n}}\n"
            f"_all </dev/null\nprintf '\\n%s %s\\n' {mark} $?\n"
        )
        self.process.stdin.flush()
        said, deadline = [], time.monotonic() + patience
        while True:
            try:
                line = self.lines.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                raise Broken(f"too slow:\n{block}\n{''.join(said)[-4000:]}") from None
            if line is None:
                raise Broken(f"the shell ended in:\n{block}")
            if line.startswith(mark):
                return int(line.split()[1]), "".join(said).removesuffix("\n")
            said.append(line)

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)


def _each_or_return(block):
    """Each command of a block, with what leaves the block when it fails."""
    commands, current = [], ""
    for line in block.splitlines():
        current += line + "\n"
        if _is_whole(current):
            commands.append(current.rstrip("\n"))
            current = ""
    # What is begun in the background has not failed yet.
    end = {True: "", False: " || return"}
    commands += [current] if current else []
    return "\n".join(f"{command}{end[command.endswith('&')]}" for command in commands)


def _is_whole(text):
    if text.rstrip().endswith(("\\", "|", "&&")):
        return False
    return subprocess.run(["bash", "-n", "-c", text], capture_output=True).returncode == 0


def docker(*words, check=True, patience=PATIENCE_S):
    command = ["docker", *words]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience
    )
    if check and done.returncode != 0:
        raise Broken(f"failed: {' '.join(command)}\n{done.stderr[-4000:]}")
    return done


def run(*command, patience=3600, **options):
    words = [str(word) for word in command]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=patience, **options
    )
    if done.returncode != 0:
        raise Broken(f"failed: {' '.join(words)}\n{done.stdout[-4000:]}")
    return done.stdout


def eventually(what, seconds, holds):
    """Asks until it holds; gives what `holds` gave."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Broken(f"not within {seconds} s: {what}")
        time.sleep(0.3)


def step(text):
    print(f"\n== {text}", file=sys.stdout, flush=True)
