#!/usr/bin/env python3
"""A second opinion on `best`: the same rules as a mixed-integer program, solved by HiGHS.

    aisled bench --only best --quick --baskets FILE
    python3 -m venv /tmp/highs && /tmp/highs/bin/pip install highspy
    /tmp/highs/bin/python benches/highs.py FILE [COUNT]

Reads the baskets, promotions and totals that the bench wrote, makes its own columns from the promotions, and maximises
what is taken off. The order phase is tried combination by combination: what a threshold needs is a bound on what the
units may get off. Prints the times, and every basket on which the two do not agree to the fen; exit code 1 if any.
"""
import itertools
import json
import statistics
import sys
import time

import highspy


def half_up(amount, ppm):
    return (amount * ppm + 500_000) // 1_000_000


def ppm(percent):
    return round(float(str(percent).rstrip("%")) * 10_000)


def groups(goods, size):
    """Every multiset of `size` units: {good: units}."""
    def choose(at, left, chosen):
        if left == 0:
            yield dict(chosen)
            return
        for place in range(at, len(goods)):
            good, _, stock = goods[place]
            for units in range(1, min(left, stock) + 1):
                yield from choose(place + 1, left - units, chosen + [(good, units)])
    yield from choose(0, size, [])


def columns(offer, goods):
    """(value, {good: units}) of every application; goods are (name, price, units)."""
    price = {name: cost for name, cost, _ in goods}
    [(kind, what)] = offer["benefit"].items()
    spread = lambda group: sorted((price[g] for g, n in group.items() for _ in range(n)), reverse=True)
    if kind == "line_percent":
        yield from ((half_up(price[g], ppm(what)), {g: 1}) for g, *_ in goods)
    elif kind == "line_amount":
        yield from ((min(what["amount"], price[g]), {g: 1}) for g, *_ in goods)
    elif kind == "nth_item":
        for group in groups(goods, what["n"]):
            yield half_up(spread(group)[-1], ppm(what["reward"]["percent"])), group
    elif kind == "buy_x_get_y":
        for group in groups(goods, what["buy"] + what["get"]):
            yield sum(spread(group)[what["buy"]:]), group
    elif kind == "sets":
        [size] = what["sizes"]
        for group in groups(goods, size["units"]):
            yield sum(spread(group)) - size["give"]["price"], group
    else:
        raise SystemExit(f"{kind} is not known here")


class Units:
    """The unit phase: the most that can be taken off without going beyond a bound."""

    def __init__(self, case):
        sold = {line["sku"]: line["quantity"]["units"] for line in case["basket"]["lines"]}
        self.goods = [(i["sku"], i["price"], sold[i["sku"]], set(i["categories"])) for i in case["items"] if i["sku"] in sold]
        self.whole = sum(price * units for _, price, units, _ in self.goods)
        self.columns = []
        for offer in case["promotions"]:
            if not offer.get("qualifier", {}).get("consumes"):
                continue
            items = offer["qualifier"]["items"]
            held = [
                (sku, price, units)
                for sku, price, units, categories in self.goods
                if sku in items.get("skus", [sku]) and categories & set(items.get("categories", categories))
            ]
            self.columns += [column for column in columns(offer, held) if column[0] > 0]
        self.known = {}

    def most(self, bound):
        if bound not in self.known:
            self.known[bound] = self.solve(bound)
        return self.known[bound]

    def solve(self, bound):
        if bound < 0:
            return None
        highs = highspy.Highs()
        highs.silent()
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.setOptionValue("mip_abs_gap", 0.5)
        inf = highspy.kHighsInf
        for _, uses in self.columns:
            highs.addVar(0, inf)
        highs.changeColsIntegrality(
            len(self.columns), list(range(len(self.columns))), [highspy.HighsVarType.kInteger] * len(self.columns)
        )
        for number, (value, _) in enumerate(self.columns):
            highs.changeColCost(number, -value)
        by_good = {}
        for number, (_, uses) in enumerate(self.columns):
            for good, units in uses.items():
                by_good.setdefault(good, []).append((number, units))
        for sku, _, stock, _ in self.goods:
            used = by_good.get(sku, [])
            highs.addRow(-inf, stock, len(used), [n for n, _ in used], [float(u) for _, u in used])
        if bound < self.whole:
            values = [float(value) for value, _ in self.columns]
            highs.addRow(-inf, bound, len(values), list(range(len(values))), values)
        highs.run()
        return round(-highs.getInfo().objective_function_value)


def settle(orders, whole, units):
    """What the order promotions chosen take off, in their order; nothing if a threshold is missed."""
    left, total = whole - units, 0
    for offer, times in orders:
        [(kind, what)] = offer["benefit"].items()
        if kind == "order_percent":
            off = half_up(left, ppm(what))
        elif what.get("every"):
            if left < times * what["every"]["spend"]:
                return None
            off = times * what["every"]["save"]
        else:
            [tier] = what["tiers"]
            if left < tier["spend"]:
                return None
            off = tier["save"]["amount"]
        left, total = left - min(off, left), total + min(off, left)
    return total


def most_units(orders, whole):
    """The most the units may get off for these to stand: by bisection, as every one of them wants much left."""
    if settle(orders, whole, 0) is None:
        return -1
    low, high = 0, whole
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if settle(orders, whole, middle) is not None else (low, middle - 1)
    return low


def best(case):
    units = Units(case)
    by_group = {}
    for offer in case["promotions"]:
        if offer.get("qualifier", {}).get("consumes"):
            continue
        every = offer["benefit"].get("spend_and_save", {}).get("every")
        times = range(1, units.whole // every["spend"] + 1) if every else [1]
        by_group.setdefault(offer["stacking"]["group"], []).extend((offer, n) for n in times)
    most = 0
    for chosen in itertools.product(*([None] + offers for offers in by_group.values())):
        orders = sorted((one for one in chosen if one), key=lambda one: one[0]["id"])
        bound = most_units(orders, units.whole)
        off = units.most(bound) if bound >= 0 else None
        if off is not None:
            most = max(most, off + settle(orders, units.whole, off))
    return units.whole - most


def main():
    cases = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else len(cases)
    differ = 0
    for applicable in sorted({case["applicable"] for case in cases}):
        times = []
        for case in [case for case in cases if case["applicable"] == applicable][:count]:
            begun = time.perf_counter()
            total = best(case)
            times.append((time.perf_counter() - begun) * 1000)
            if total != case["total"] and case["proved"] or total > case["total"]:
                differ += 1
                print(f"differs: {case['total']} by aisled, {total} by HiGHS: {json.dumps(case['basket'])}")
        times.sort()
        p99 = times[min(len(times) - 1, len(times) * 99 // 100)]
        print(f"{applicable} applicable: {len(times)} baskets by HiGHS, p50 {statistics.median(times):.0f} ms, p99 {p99:.0f} ms")
    print(f"{differ} differ")
    sys.exit(1 if differ else 0)


main()
