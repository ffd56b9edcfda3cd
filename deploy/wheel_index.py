"""Finds and downloads wheels the way pip would, but resumes what was cut off.

Where wheels come from is pip's business: index, proxy, certificates and
find-links are read from pip's own configuration (files, PIP_* variables, its
built-in default), so that a machine on which pip works needs nothing more.
"""

import base64
import dataclasses
import hashlib
import html.parser
import http.client
import json
import os
import pathlib
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

CHUNK_BYTES = 1 << 20
# Attempts in a row that brought no new byte before a download is given up.
MAX_IDLE_ATTEMPTS = 5
# PEP 691, with the older HTML form as the fallback.
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.2"


class FetchError(Exception):
    """A failure that is told to the user as one line."""


@dataclasses.dataclass(frozen=True)
class Wheel:
    file: str
    sha256: str

    @property
    def project(self):
        return self.file.split("-")[0].replace("_", "-").lower()

    @property
    def version(self):
        return self.file.split("-")[1]


@dataclasses.dataclass(frozen=True)
class Link:
    url: str
    sha256: str  # "" where the index tells none


@dataclasses.dataclass(frozen=True)
class Settings:
    indexes: tuple = ()
    find_links: tuple = ()
    cert: str = ""
    proxy: str = ""
    timeout_s: float = 60.0
    retry_pause_s: float = 1.0


def pip_settings():
    """What `pip download` would use, from pip's files, variables and defaults."""
    try:
        from pip._internal.commands import create_command
    except ImportError as error:
        raise FetchError("pip is not installed for this Python (package python3-pip)") from error
    options, _ = create_command("download").parse_args([])
    indexes = () if options.no_index else (options.index_url, *options.extra_index_urls)
    return Settings(
        indexes=indexes,
        find_links=tuple(options.find_links),
        cert=options.cert or "",
        proxy=options.proxy or "",
        timeout_s=max(float(options.timeout or 0), 30.0),
    )


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class _Anchors(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.hrefs = []

    def handle_starttag(self, tag, attrs):
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.hrefs.append(href)


def _parse_page(body, content_type, base_url):
    """Simple-API page -> {file name: Link}."""
    links = {}
    if "json" in content_type:
        for entry in json.loads(body).get("files", []):
            url = urllib.parse.urljoin(base_url, entry["url"])
            links[entry["filename"]] = Link(url, entry.get("hashes", {}).get("sha256", ""))
        return links
    parser = _Anchors()
    parser.feed(body.decode("utf-8", "replace"))
    for href in parser.hrefs:
        url, fragment = urllib.parse.urldefrag(urllib.parse.urljoin(base_url, href))
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])
        sha256 = fragment[len("sha256=") :] if fragment.startswith("sha256=") else ""
        links[name] = Link(url, sha256)
    return links


class WheelIndex:
    """The indexes and folders of pip's settings; not thread-safe."""

    def __init__(self, settings, say=print):
        self._settings = settings
        self._say = say
        context = ssl.create_default_context()
        if settings.cert:
            context.load_verify_locations(cafile=settings.cert)
        handlers = [urllib.request.HTTPSHandler(context=context)]
        if settings.proxy:
            handlers.append(
                urllib.request.ProxyHandler({"http": settings.proxy, "https": settings.proxy})
            )
        self._opener = urllib.request.build_opener(*handlers)

    def _open(self, url, headers):
        """Opens `url`; a user and password in it become a header, sent to that host only."""
        parts = urllib.parse.urlsplit(url)
        request = None
        if parts.username is not None:
            host = parts.netloc.rsplit("@", 1)[1]
            user = urllib.parse.unquote(parts.username)
            password = urllib.parse.unquote(parts.password or "")
            url = urllib.parse.urlunsplit(parts._replace(netloc=host))
            request = urllib.request.Request(url, headers=headers)
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
        return self._opener.open(
            request or urllib.request.Request(url, headers=headers),
            timeout=self._settings.timeout_s,
        )

    def links(self, project):
        """All files that the first index which knows `project` offers for it."""
        tried = []
        for index in self._settings.indexes:
            page = index.rstrip("/") + "/" + re.sub(r"[-_.]+", "-", project).lower() + "/"
            try:
                with self._open(page, {"Accept": ACCEPT}) as response:
                    found = _parse_page(
                        response.read(), response.headers.get("Content-Type", ""), response.url
                    )
            except (OSError, http.client.HTTPException, ValueError) as error:
                tried.append(f"{_host(page)}: {error}")
                continue
            if found:
                return found
            tried.append(f"{_host(page)}: no files")
        raise FetchError(f"no index of pip offers {project} ({'; '.join(tried) or 'none is set'})")

    def fetch(self, wheel, folder):
        """Brings `wheel` into `folder`, verified; continues a .part file that lies there."""
        target = folder / wheel.file
        if target.exists():
            if sha256_of(target) == wheel.sha256:
                return target
            self._say(f"  {wheel.file}: damaged, downloading again")
            target.unlink()
        if self._copy_from_find_links(wheel, target):
            return target
        link = self.links(wheel.project).get(wheel.file)
        if link is None:
            raise FetchError(f"pip's index has no {wheel.file}")
        part = folder / (wheel.file + ".part")
        resumed = part.exists() and part.stat().st_size > 0
        self._download(link.url, part)
        if sha256_of(part) != wheel.sha256 and resumed:
            # What an earlier run left may be the culprit: once more from the start.
            part.unlink()
            self._download(link.url, part)
        actual = sha256_of(part)
        if actual != wheel.sha256:
            part.unlink()
            raise FetchError(f"{wheel.file}: SHA-256 is {actual}, expected {wheel.sha256}")
        os.replace(part, target)
        return target

    def _copy_from_find_links(self, wheel, target):
        for place in self._settings.find_links:
            if "://" in place and not place.startswith("file://"):
                continue  # only folders: a page of links is what an index is for
            folder = urllib.request.url2pathname(place.removeprefix("file://"))
            source = pathlib.Path(folder) / wheel.file
            if source.is_file() and sha256_of(source) == wheel.sha256:
                part = target.with_name(target.name + ".copy")
                shutil.copyfile(source, part)
                os.replace(part, target)
                return True
        return False

    def _download(self, url, part):
        idle = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                self._append(url, part, before)
                return
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code not in (408, 429):
                    raise FetchError(f"{_host(url)}: {error}") from error
                failure = error
            except (OSError, http.client.HTTPException) as error:
                failure = error
            idle = 0 if part.exists() and part.stat().st_size > before else idle + 1
            if idle >= MAX_IDLE_ATTEMPTS:
                raise FetchError(f"{_host(url)}: {failure}; run it again to resume") from failure
            self._say(f"  {failure}; resuming")
            time.sleep(idle * self._settings.retry_pause_s)

    def _append(self, url, part, have):
        """One request: continues at byte `have`; raises OSError if the answer ends early."""
        headers = {"Range": f"bytes={have}-"} if have else {}
        try:
            response = self._open(url, headers)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            error.close()
            # Nothing lies past `have`: the file is whole already, or too long.
            if error.headers.get("Content-Range", "") != f"bytes */{have}":
                part.unlink()
                raise OSError("the partial file does not fit") from error
            return
        with response:
            content_range = response.headers.get("Content-Range", "")
            resumed = response.status == 206 and content_range.startswith(f"bytes {have}-")
            start = have if resumed else 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else None
            progress = _Progress(part.name.removesuffix(".part"), start, total, self._say)
            with open(part, "ab" if resumed else "wb") as file:
                while chunk := response.read(CHUNK_BYTES):
                    file.write(chunk)
                    progress.add(len(chunk))
        if total is not None and progress.done_bytes != total:
            raise OSError(f"connection lost at {progress.done_bytes} of {total} bytes")


class _Progress:
    """A line at the start and one every ten seconds."""

    def __init__(self, name, start_bytes, total_bytes, say):
        self.done_bytes = start_bytes
        self._total_bytes = total_bytes
        self._say = say
        self._next_s = time.monotonic() + 10
        size = f"{total_bytes / 1e6:.1f} MB" if total_bytes else "size unknown"
        at = f", from {start_bytes / 1e6:.1f} MB" if start_bytes else ""
        say(f"  {name} ({size}{at})")

    def add(self, count_bytes):
        self.done_bytes += count_bytes
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + 10
            share = f" ({100 * self.done_bytes // self._total_bytes}%)" if self._total_bytes else ""
            self._say(f"    {self.done_bytes / 1e6:.0f} MB{share}")


def _host(url):
    return urllib.parse.urlsplit(url).hostname or url


