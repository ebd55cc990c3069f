"""The files in kubernetes/ against Kubernetes' own schemas, and each variable that they set against a daemon that knows it."""

import os
import subprocess
from pathlib import Path

import kubernetes_validate
import yaml

from outside import run, test

ROOT = Path(__file__).resolve().parent.parent.parent


def containers(document):
    spec = document.get("spec", {})
    spec = spec.get("template", {}).get("spec", spec)
    return [*spec.get("initContainers", []), *spec.get("containers", [])]


def daemons(document):
    return [one for one in containers(document) if one["name"] == "gcsd"]


help_text = subprocess.run([os.environ["GCSD"], "serve", "--help"], capture_output=True, text=True, check=True).stdout

FILES = {path.name: list(filter(None, yaml.safe_load_all(path.read_text()))) for path in (ROOT / "kubernetes").glob("*.yaml")}


@test
def valid():
    """each document is what Kubernetes' schema permits"""
    assert sorted(FILES) == ["pool.yaml", "sidecar.yaml"]
    for documents in FILES.values():
        for document in documents:
            kubernetes_validate.validate(document, "1.33", strict=True)


@test
def refused():
    """a misspelt field is not"""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [], "volume": []}}
    try:
        kubernetes_validate.validate(pod, "1.33", strict=True)
    except kubernetes_validate.ValidationError:
        return
    raise AssertionError("it passes")


@test
def settings():
    """each variable is a setting of gcsd serve, and each probe asks a port that there is"""
    for name, documents in FILES.items():
        found = [daemon for document in documents for daemon in daemons(document)]
        assert found, name
        for daemon in found:
            for variable in daemon["env"]:
                assert f"[env: {variable['name']}=" in help_text, f"{name}: {variable['name']}"
            ports = {port["name"] for port in daemon["ports"]}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert probe not in daemon or daemon[probe]["httpGet"]["port"] in ports, f"{name}: {probe}"


run()
