"""Start and stop a developer's PostgreSQL and OPA server, on loopback and free ports.

    python infra/services.py start     start what is not running; print what to set
    python infra/services.py status    say what runs
    python infra/services.py stop      stop just that, and remove the database

What was started stands in .tools/run/services.json. Needs only Python's own library.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from postgres import Postgres, PostgresError, free_port

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / ".tools" / "run"
RECORD = RUN / "services.json"
OPA = ROOT / ".tools" / "bin" / "opa"
BUNDLE = ROOT / "policies" / "build" / "bundle.tar.gz"

Service = dict[str, Any]


def start_postgres() -> Service:
    """A cluster with a database named exchange."""
    server = Postgres()
    server.start()
    url = server.create_database("exchange")
    return {
        "pid": server.pid,
        "port": server.port,
        "url": url,
        "directory": str(server.directory),
        "set": {"EXCHANGE_DATABASE_URL": url},
    }


def start_opa() -> Service:
    """An OPA server that holds the policies as they were last built."""
    for path, advice in ((OPA, "run `make infra`"), (BUNDLE, "run `make policies`")):
        if not path.exists():
            raise RuntimeError(f"{path} is missing: {advice}")
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [str(OPA), "run", "--server", "--addr", address, "--log-level", "error",
               "--disable-telemetry", "--bundle", str(BUNDLE)]  # fmt: skip
    RUN.mkdir(parents=True, exist_ok=True)
    with (RUN / "opa.log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://{address}"
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health?bundles", timeout=1):
                set_by = {"EXCHANGE_POLICY_ENGINE": "server", "EXCHANGE_OPA_URL": url}
                return {"pid": process.pid, "port": port, "url": url, "set": set_by}
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    process.kill()
    process.wait()
    raise RuntimeError(f"OPA does not start: {(RUN / 'opa.log').read_text()[-2000:]}")


def stop_postgres(service: Service) -> None:
    """Stop the recorded cluster and remove it."""
    Postgres(directory=Path(service["directory"])).stop()


def stop_opa(service: Service) -> None:
    """Stop the recorded server, and no process that has taken its number since."""
    if not is_running("opa", service):
        return
    os.kill(service["pid"], signal.SIGTERM)
    for _ in range(100):
        if not is_running("opa", service):
            return
        time.sleep(0.1)
    os.kill(service["pid"], signal.SIGKILL)


STARTERS = {"postgres": start_postgres, "opa": start_opa}
STOPPERS = {"postgres": stop_postgres, "opa": stop_opa}


def is_running(name: str, service: Service) -> bool:
    """Whether the recorded process is still the one that we started: its command names the port."""
    of_linux = Path(f"/proc/{service['pid']}/cmdline")
    if of_linux.parent.parent.joinpath("self").exists():
        command = of_linux.read_text(errors="replace") if of_linux.exists() else ""
    else:
        ps = ["ps", "-o", "args=", "-p", str(service["pid"])]
        command = subprocess.run(ps, capture_output=True, text=True).stdout
    return name in command and str(service["port"]) in command


def read() -> dict[str, Service]:
    """The services that were started and not stopped."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def write(services: dict[str, Service]) -> None:
    """Keep the record; none where nothing runs."""
    RUN.mkdir(parents=True, exist_ok=True)
    if services:
        RECORD.write_text(json.dumps(services, indent=2) + "\n")
    else:
        RECORD.unlink(missing_ok=True)


def start() -> int:
    """Start what does not run yet."""
    services = read()
    failed = 0
    for name, starter in STARTERS.items():
        if name in services and is_running(name, services[name]):
            continue
        if name in services:
            STOPPERS[name](services.pop(name))
        try:
            services[name] = starter()
        except (PostgresError, RuntimeError, OSError) as error:
            print(f"  ✗  {name}: {error}", file=sys.stderr)
            failed = 1
        # Written each time, so that an interrupted start leaves nothing that stop does not know.
        write(services)
    status()
    for service in services.values():
        for setting, value in service["set"].items():
            print(f"export {setting}={value}")
    return failed


def stop() -> int:
    """Stop what was started."""
    services = read()
    for name in list(services):
        STOPPERS[name](services[name])
        print(f"  stopped {name}")
        del services[name]
        write(services)
    return 0


def status() -> int:
    """Print what runs; 1 where something does not."""
    services = read()
    down = 0
    for name in STARTERS:
        runs = name in services and is_running(name, services[name])
        down |= not runs
        where = (
            f"{services[name]['url']} (process {services[name]['pid']})" if runs else "not running"
        )
        print(f"  {'✓' if runs else '✗'}  {name:9} {where}")
    return int(down)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["start", "stop", "status"])
    return {"start": start, "stop": stop, "status": status}[parser.parse_args().verb]()


if __name__ == "__main__":
    sys.exit(main())
