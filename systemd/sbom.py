"""A CycloneDX 1.5 bill of materials of what the binary is made of: normal and build dependencies, for Linux.

Usage: cargo metadata --format-version 1 --locked --filter-platform TARGET | python3 sbom.py TREE > sbom.cdx.json

TREE is what `cargo tree --locked --target TARGET -e normal,build --prefix none -f '{p}'` said: metadata also names what
stands behind features that nobody asked for.
"""

import json
import sys

metadata = json.load(sys.stdin)
with open(sys.argv[1], encoding="utf-8") as tree:
    built = {tuple(line.split()[:2]) for line in tree if line.strip()}
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = metadata["resolve"]["root"]


def needs(package):
    """What a package is built with; not what it is tested with."""
    kinds = lambda edge: {kind["kind"] for kind in edge["dep_kinds"]}
    is_built = lambda of: (of["name"], "v" + of["version"]) in built
    edges = [edge for edge in nodes[package]["deps"] if kinds(edge) & {None, "build"}]
    return sorted(edge["pkg"] for edge in edges if is_built(packages[edge["pkg"]]))


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
