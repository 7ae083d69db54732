"""A CycloneDX 1.5 bill of materials of what the binary is made of: normal and build dependencies, for Linux.

Usage: cargo metadata --format-version 1 --locked --filter-platform x86_64-unknown-linux-gnu | python3 sbom.py > sbom.cdx.json
"""

import json
import sys

metadata = json.load(sys.stdin)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = metadata["resolve"]["root"]


def needs(package):
    """What a package is built with; not what it is tested with."""
    kinds = lambda edge: {kind["kind"] for kind in edge["dep_kinds"]}
    return sorted(edge["pkg"] for edge in nodes[package]["deps"] if kinds(edge) & {None, "build"})


def reference(package):
    return "pkg:cargo/{name}@{version}".format(**packages[package])


reached, waiting = {root}, [root]
while waiting:
    for package in needs(waiting.pop()):
        if package not in reached:
            reached.add(package)
            waiting.append(package)


def component(package):
    of = packages[package]
    return {
        "type": "application" if package == root else "library",
        "bom-ref": reference(package),
        "name": of["name"],
        "version": of["version"],
        "purl": reference(package),
        "licenses": [{"expression": (of["license"] or "NOASSERTION").replace("/", " OR ")}],
    }


json.dump(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(root)},
        "components": [component(package) for package in sorted(reached - {root}, key=reference)],
        "dependencies": [
            {"ref": reference(package), "dependsOn": [reference(need) for need in needs(package)]}
            for package in sorted(reached, key=reference)
        ],
    },
    sys.stdout,
    indent=1,
)
