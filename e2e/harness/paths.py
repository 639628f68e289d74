"""Where things are: nothing in, paths out, so that no other file counts its way up the tree."""

import os
from pathlib import Path

E2E = Path(__file__).resolve().parent.parent
REPOSITORY = E2E.parent
APPS = E2E / "apps"
CONFORMANCE = E2E / "conformance"
FIXTURES = E2E / "fixtures"
OUTPUT = E2E / "output"
LENS_ASSETS = E2E / ".cache" / "zipkin-lens-3.5.1"

ZIPKIN_PEER = E2E / "peers" / "zipkin.py"


def server_binary() -> Path:
    """The program under test: TRACEWELL_BIN, else what cargo built last as release, else as debug."""
    named = os.environ.get("TRACEWELL_BIN")
    if named:
        return Path(named).resolve()
    if os.environ.get("TRACEWELL_PEER") == "zipkin":
        return ZIPKIN_PEER
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    built = [target / profile / "tracewell" for profile in ("release", "debug")]
    for binary in built:
        if binary.exists():
            return binary
    raise FileNotFoundError(
        f"no tracewell binary at {' or '.join(map(str, built))}: "
        "run 'cargo build -p tracewell-server' or set TRACEWELL_BIN"
    )
