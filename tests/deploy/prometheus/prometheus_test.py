"""The shipped alerts, and a real Prometheus that scrapes a server by them.

    prometheus_test.py --server FAKE_SERVER [--programs FOLDER]

FOLDER holds prometheus and promtool (else those of PATH); without them the test is skipped
(exit status 77).
"""

import argparse
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
ARGUMENTS = None
SKIPPED = 77


def program(name):
    return shutil.which(name, path=ARGUMENTS.programs) or shutil.which(name)


def run(name, *arguments):
    return subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True,
                          check=False)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as page:
        return page.read().decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, holds):
    """Polls: Prometheus works by a clock of its own."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if holds():
                return
        except (urllib.error.URLError, ConnectionError):
            pass
        if time.monotonic() > deadline:
            raise AssertionError(f"in a minute there was no {what}")
        time.sleep(0.2)


class RulesTest(unittest.TestCase):
    def check(self, *arguments):
        done = run("promtool", *arguments)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_rules_and_example_are_well_formed(self):
        self.check("check", "rules", ALERTS)
        self.check("check", "config", ALERTS.with_name("prometheus.yml"))

    def test_alerts_come_when_they_should_and_only_then(self):
        self.check("test", "rules", pathlib.Path(__file__).with_name("alerts_test.yml"))

    def test_every_alert_is_tested(self):
        alerts = set(re.findall(r"- alert: (\w+)", ALERTS.read_text()))
        cases = pathlib.Path(__file__).with_name("alerts_test.yml").read_text()
        self.assertTrue(alerts)
        for alert in alerts:
            self.assertRegex(cases, rf"alertname: {alert}\n *exp_alerts:", alert)


class ScrapeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        folder = pathlib.Path(scratch.name)
        cls.metrics = f"127.0.0.1:{free_port()}"
        cls.start([ARGUMENTS.server, "--listen", "127.0.0.1:0", "--metrics_listen", cls.metrics,
                   "--drain_delay", "0s"])
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": "semsam",
                                "static_configs": [{"targets": [cls.metrics]}]}]}))
        address = f"127.0.0.1:{free_port()}"
        cls.start([program("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                   f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"])
        cls.api = f"http://{address}/api/v1"
        wait_for("answer of the server", lambda: get(f"http://{cls.metrics}/metrics"))
        wait_for("scrape", lambda: cls.query("up == 1"))

    @classmethod
    def start(cls, command):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.send_signal, signal.SIGTERM)

    @classmethod
    def query(cls, expression):
        answer = json.loads(get(f"{cls.api}/query?" + urllib.parse.urlencode({"query": expression})))
        return answer["data"]["result"]

    def test_every_metric_of_the_server_arrives(self):
        names = re.findall(r"^# TYPE (semsam_\w+) (\w+)$", get(f"http://{self.metrics}/metrics"),
                           re.MULTILINE)
        self.assertGreater(len(names), 30)
        for name, kind in names:
            series = name + "_bucket" if kind == "histogram" else name
            self.assertTrue(self.query(series), series)

    def test_every_metric_of_the_alerts_is_one_of_the_server(self):
        page = get(f"http://{self.metrics}/metrics")
        used = set(re.findall(r"(?<![:\w])semsam_\w+", re.sub(r"summary:.*|description:.*", "",
                                                              ALERTS.read_text())))
        self.assertGreater(len(used), 10)
        for name in used:
            self.assertRegex(page, rf"(?m)^{name}(\{{| )", name)

    def test_all_rules_evaluate_and_a_server_at_rest_alerts_nobody(self):
        def evaluated():
            self.groups = json.loads(get(f"{self.api}/rules"))["data"]["groups"]
            rules = [rule for group in self.groups for rule in group["rules"]]
            return rules and all(rule["health"] == "ok" for rule in rules)

        wait_for("evaluation of all rules", evaluated)
        self.assertEqual(sum(len(group["rules"]) for group in self.groups),
                         ALERTS.read_text().count("- alert:") + ALERTS.read_text().count("- record:"))
        self.assertEqual(json.loads(get(f"{self.api}/alerts"))["data"]["alerts"], [])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--programs")
    ARGUMENTS = parser.parse_args()
    if not (program("prometheus") and program("promtool")):
        print("skipped: there is no prometheus and promtool")
        sys.exit(SKIPPED)
    unittest.main(argv=[__file__])
