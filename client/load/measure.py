"""Comparisons that take more than one run of semsam-load, in alternating blocks.

  measure.py batching --server PATH --load PATH [...] [-- SERVER ARGUMENT...]
      Clicks a second of a closed loop, by a server that decodes clicks one by one and
      by one that decodes together what waits together.
  measure.py workers --server PATH --load PATH [...] [-- SERVER ARGUMENT...]
      The same by one worker on the whole CPU and by --workers with a share of it each.
  measure.py background --server PATH --load PATH [...] [-- SERVER ARGUMENT...]
      Latency of clicks alone, and while everything-mode runs without a break; the goal
      is a p99 of at most twice the one alone and one chunk.

--server is semsam-server, or any program with its flags. Prints a table; --json writes
the figures of every block.
"""

import argparse
import contextlib
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

# Queries of one click: a batch of so many is no batch.
CLICK_QUERIES = 6


class Bench:
    def __init__(self, arguments, scratch):
        self.arguments = arguments
        self.report = pathlib.Path(scratch) / "report.json"

    @contextlib.contextmanager
    def server(self, *flags):
        """Its address, as long as it is wanted."""
        command = [self.arguments.server, "--listen", "127.0.0.1:0", "--drain_delay", "0s",
                   *self.arguments.server_arguments, *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as server:
            try:
                line = server.stdout.readline()
                if not line.startswith("listening on "):
                    raise RuntimeError(f"{command[0]} does not serve: run it by hand to see why")
                yield line.removeprefix("listening on ").strip()
            finally:
                server.send_signal(signal.SIGTERM)

    def command(self, address, *flags):
        size = self.arguments.picture_size
        return [self.arguments.load, "--server", address, "--picture-size", size, *map(str, flags)]

    def load(self, address, *flags):
        """The report of one run, in which nothing may be lost."""
        command = self.command(address, "--warmup", self.arguments.warmup, "--duration",
                               self.arguments.seconds, *flags, "--json", self.report)
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"semsam-load failed: {done.stderr.strip()}")
        report = json.loads(self.report.read_text())
        if report["lost"]:
            raise RuntimeError(f"calls were lost, the figures mean nothing:\n{done.stdout}")
        return report


def clicks_per_s(report):
    return report["calls"]["click"]["achieved_per_s"]


def compare(bench, first, second):
    """Clicks a second of the same closed loop on two servers, (name, flags) each."""
    arguments = bench.arguments
    flags = ["--closed-loop", "--sessions", arguments.sessions, "--think-time", 0,
             "--distinct", arguments.pictures]
    names = [first[0], second[0]]
    blocks = []
    with bench.server(*first[1]) as address, bench.server(*second[1]) as other:
        servers = dict(zip(names, [address, other]))
        for number in range(arguments.blocks):
            # Whoever comes second may find the machine warmer.
            order = names if number % 2 == 0 else names[::-1]
            block = {name: clicks_per_s(bench.load(servers[name], *flags)) for name in order}
            block["ratio"] = block[names[1]] / block[names[0]]
            blocks.append(block)
            print(f"block {number + 1}: {block[names[0]]:.1f} clicks/s {names[0]}, "
                  f"{block[names[1]]:.1f} {names[1]}, ratio {block['ratio']:.2f}", flush=True)
    ratios = [block["ratio"] for block in blocks]
    print(f"{names[1]} against {names[0]}, {arguments.sessions} sessions: "
          f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return {"blocks": blocks}


def batching(bench):
    return compare(bench, ("single", ["--max_batch_queries", str(CLICK_QUERIES)]), ("batched", []))


def workers(bench):
    count = str(bench.arguments.workers)
    return compare(bench, ("one worker", []), (f"{count} workers", ["--cpu_workers", count]))


@contextlib.contextmanager
def everything_running(bench, address):
    flags = ["--closed-loop", "--sessions", bench.arguments.background_sessions, "--think-time", 0,
             "--everything-share", 1, "--points-per-side",
             bench.arguments.background_side, "--duration", 3600,
             "--seed", 99]
    with subprocess.Popen(bench.command(address, *flags), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as load:
        try:
            yield
        finally:
            ended_early = load.poll() is not None
            load.kill()
        if ended_early:
            raise RuntimeError("everything-mode did not keep running")


def background(bench):
    arguments = bench.arguments
    clicks = ["--sessions-per-s", arguments.sessions_per_s, "--upload-allowance",
              arguments.upload_allowance, "--distinct", arguments.pictures]
    blocks = []
    with bench.server() as address:
        # A call that is one chunk and its answer: a little more than the chunk.
        one_chunk = bench.load(address, "--closed-loop", "--sessions", 1, "--think-time", 0,
                               "--everything-share", 1, "--points-per-side",
                               arguments.chunk_side)
        chunk_ms = one_chunk["calls"]["everything"]["service_ms"]["p50"]
        for number in range(arguments.blocks):
            alone = bench.load(address, *clicks)["calls"]["click"]["latency_ms"]
            with everything_running(bench, address):
                beside = bench.load(address, *clicks)["calls"]["click"]["latency_ms"]
            block = {"alone_p50": alone["p50"], "alone_p99": alone["p99"],
                     "beside_p50": beside["p50"], "beside_p99": beside["p99"],
                     "chunk_ms": chunk_ms, "goal_ms": 2 * alone["p99"] + chunk_ms}
            block["met"] = block["beside_p99"] <= block["goal_ms"]
            blocks.append(block)
            print(f"block {number + 1}: click p99 {alone['p99']:.1f} ms alone, "
                  f"{beside['p99']:.1f} ms beside everything-mode, goal {block['goal_ms']:.1f} ms "
                  f"(one chunk {chunk_ms:.1f} ms)", flush=True)
    met = sum(block["met"] for block in blocks)
    print(f"goal met in {met} of {len(blocks)} blocks")
    return {"blocks": blocks}


MEASUREMENTS = {"batching": batching, "workers": workers, "background": background}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", choices=list(MEASUREMENTS))
    parser.add_argument("--server", required=True, metavar="PATH")
    parser.add_argument("--load", required=True, metavar="PATH")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--warmup", type=float, default=5, metavar="SECONDS", help="of every run")
    parser.add_argument("--seconds", type=float, default=20, help="counted, of every run")
    parser.add_argument("--pictures", type=int, default=8, help="different ones")
    parser.add_argument("--picture-size", default="640x480", metavar="WxH")
    parser.add_argument("--sessions", type=int, default=64, help="batching, workers: that click")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--sessions-per-s", type=float, default=0.5, help="background: with clicks")
    parser.add_argument("--upload-allowance", type=float, default=5, metavar="SECONDS")
    parser.add_argument("--background-sessions", type=int, default=1)
    parser.add_argument("--background-side", type=int, default=32, metavar="POINTS")
    parser.add_argument("--chunk-side", type=int, default=8, metavar="POINTS",
                        help="of a grid that the server decodes in one chunk")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("server_arguments", nargs="*", metavar="SERVER ARGUMENT")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments, scratch)
        try:
            figures = MEASUREMENTS[arguments.measurement](bench)
        except RuntimeError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
