"""Forked Lambda workers behave as they would on AWS."""

import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cli.machine import emulator
from cli.machine.emulator import Emulator
from cli.machine.polling import back_off
from cli.machine.runtime import assemble, bootstrap

SECONDS = 240  # far more than it takes

# Deploys a handler's code with the packages of a folder; returns a function that invokes it.
Deploy = Callable[..., Callable[[Any], Any]]


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with emulator.start() as started:
        yield started


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lambda's runtime, in a folder whose name needs quoting in a shell."""
    folder = tmp_path_factory.mktemp("library") / "my 'runtime'"
    assemble(folder)
    return folder


@pytest.fixture
def deploy(aws: Emulator, library: Path, tmp_path: Path) -> Deploy:
    functions = aws.session.client("lambda")

    def create(name: str, code: str, packages: Path = tmp_path / "none", **settings: Any) -> Any:
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("app.py", code)
            archive.writestr("bootstrap", bootstrap(packages, library))
        functions.create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="app.handler",
            Role=aws.session.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"],
            Code={"ZipFile": package.getvalue()},
            **({"Timeout": 60} | settings),
        )
        return lambda event: json.loads(
            functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())["Payload"].read()
        )

    return create


def test_function_sees_only_its_packages(deploy: Deploy, tmp_path: Path) -> None:
    code = (
        "import sys, pydantic, jmespath\n"
        "from importlib.util import find_spec\n"
        "def handler(names, _):\n"
        "    seen = [name for name in names if find_spec(name)]\n"
        "    return [sys.version, pydantic.VERSION, jmespath.__file__, seen]\n"
    )
    for version in ("1", "2"):
        (folder := tmp_path / version).mkdir()
        (folder / "pydantic.py").write_text(f"VERSION = {version!r}\n", encoding="utf-8")
    (packaged := tmp_path / "2" / "jmespath.py").touch()

    first = deploy("first", code, packages=tmp_path / "1")(["boto3", "dateutil", "rich", "cli", "fork_server"])
    second = deploy("second", code, packages=tmp_path / "2")([])
    without = deploy("without", code)([])

    assert (first[0], first[1], first[3]) == (sys.version, "1", ["boto3", "dateutil"])
    assert second[1:3] == ["2", str(packaged)]  # packages win over the runtime
    assert "Runtime.ImportModuleError" in without["errorMessage"]


def test_workers_share_no_state(deploy: Deploy, tmp_path: Path) -> None:
    code = (
        "import os, random, time\n"
        "from pathlib import Path\n"
        "seen = []\n"
        "def handler(event, context):\n"
        "    seen.append(event)\n"
        "    folder = Path(os.environ['FOLDER'])\n"
        "    (folder / str(event)).touch()\n"
        "    while len(list(folder.iterdir())) < 4: time.sleep(0.01)\n"  # until all four have started
        "    return [os.environ['NAME'], context.function_name, seen, random.random(), context.log_stream_name]\n"
    )
    (folder := tmp_path / "met").mkdir()
    ada, grace = (
        deploy(name.lower(), code, Environment={"Variables": {"NAME": name, "FOLDER": str(folder)}})
        for name in ("Ada", "Grace")
    )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda call: call[0](call[1]), [(ada, 1), (ada, 2), (grace, 3), (grace, 4)]))

    names, functions, seen, numbers, streams = zip(*answers, strict=True)
    assert names == ("Ada", "Ada", "Grace", "Grace")
    assert functions == ("ada", "ada", "grace", "grace")
    assert seen == ([1], [2], [3], [4])
    assert len({*numbers}) == len({*streams}) == 4


@pytest.mark.parametrize(
    ("how", "error", "seconds"),
    [
        ("os.kill(os.getpid(), 9)", "Runtime.ExitError", 60),
        ("time.sleep(60)", "Sandbox.Timedout", 5),
    ],
    ids=["killed", "hangs"],
)
def test_lost_worker_is_reported_and_replaced(how: str, error: str, seconds: int, deploy: Deploy) -> None:
    code = f"import os, time\ndef handler(event, _):\n    if event is None: return os.getpid()\n    {how}\n"
    invoke = deploy(f"lost-{len(how)}", code, Timeout=seconds)
    lost = invoke(None)

    assert invoke({})["errorType"] == error

    assert any(not Path(f"/proc/{lost}").exists() for _ in back_off(SECONDS))
    assert invoke(None) != lost
