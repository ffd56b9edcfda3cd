"""What a Python program knows of the service: stubs made from the protocol, and mask decoders.

Nothing here comes from the C++ side: the protocol compiler is grpc_tools, run
lengths are decoded by pycocotools, PNG by Pillow.
"""

import collections
import dataclasses
import hashlib
import importlib
import io
import pathlib
import sys

import google.rpc.error_details_pb2 as error_details_pb2
import google.rpc.status_pb2 as status_pb2
import grpc
import grpc_tools
import grpc_tools.protoc
import numpy
import PIL.Image
import pycocotools.mask

CHUNK_BYTES = 64 << 10
TIMEOUT_S = 60
LONG_TIMEOUT_S = 300  # of calls about the whole picture


def generate_stubs(proto_dir, out_dir):
    """Compiles semsam/v1/*.proto below `proto_dir` and makes the modules importable."""
    proto_dir = pathlib.Path(proto_dir)
    files = sorted(str(path) for path in (proto_dir / "semsam" / "v1").glob("*.proto"))
    if not files:
        raise FileNotFoundError(f"no semsam/v1/*.proto below {proto_dir}")
    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = [
        "protoc", f"-I{proto_dir}", f"-I{well_known}", f"--python_out={out_dir}",
        f"--grpc_python_out={out_dir}", *files,
    ]
    if grpc_tools.protoc.main(arguments) != 0:
        raise RuntimeError("the protocol does not compile")
    sys.path.insert(0, str(out_dir))


@dataclasses.dataclass
class Failure:
    """An error as the service describes it."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    field: str = ""
    metadata: dict = dataclasses.field(default_factory=dict)


def read_failure(error):
    """Takes a grpc.RpcError apart, google.rpc details included."""
    failure = Failure(code=error.code(), message=error.details())
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for detail in status_pb2.Status.FromString(value).details:
            info = error_details_pb2.ErrorInfo()
            bad = error_details_pb2.BadRequest()
            if detail.Unpack(info):
                failure.reason, failure.domain = info.reason, info.domain
                failure.metadata = dict(info.metadata)
            elif detail.Unpack(bad) and bad.field_violations:
                failure.field = bad.field_violations[0].field
    return failure


class CallDetails(
        collections.namedtuple("CallDetails", ("method", "timeout", "metadata", "credentials",
                                               "wait_for_ready", "compression")),
        grpc.ClientCallDetails):
    """Those of a call that says whose it is."""

    @classmethod
    def of(cls, details, tenant):
        metadata = [*(details.metadata or ()), ("semsam-tenant", tenant)]
        return cls(details.method, details.timeout, metadata, details.credentials,
                   details.wait_for_ready, details.compression)


class TenantInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
                        grpc.StreamUnaryClientInterceptor):
    """Adds the metadata that names the tenant to every call."""

    def __init__(self, tenant):
        self.tenant = tenant

    def intercept(self, continuation, details, request):
        return continuation(CallDetails.of(details, self.tenant), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = intercept


class Peer:
    """A client made of generated stubs. The stubs must have been generated."""

    def __init__(self, server, tenant=None):
        self.masks = importlib.import_module("semsam.v1.mask_pb2")
        self.prompts = importlib.import_module("semsam.v1.prompt_pb2")
        self.words = importlib.import_module("semsam.v1.words_pb2")
        self.service = importlib.import_module("semsam.v1.segmentation_service_pb2")
        stubs = importlib.import_module("semsam.v1.segmentation_service_pb2_grpc")
        self.channel = grpc.insecure_channel(server)
        channel = self.channel
        if tenant is not None:
            channel = grpc.intercept_channel(channel, TenantInterceptor(tenant))
        self.stub = stubs.SegmentationServiceStub(channel)

    def info(self):
        return self.stub.GetServerInfo(self.service.GetServerInfoRequest(), timeout=TIMEOUT_S)

    def create(self, request_id="", ttl_s=0):
        request = self.service.CreateSessionRequest(request_id=request_id)
        request.ttl.seconds = ttl_s
        return self.stub.CreateSession(request, timeout=TIMEOUT_S).session

    def create_session(self):
        return self.create().session_id

    def renew(self, session_id, ttl_s=None):
        request = self.service.RenewSessionRequest(session_id=session_id)
        if ttl_s is not None:
            request.ttl.seconds = ttl_s
        return self.stub.RenewSession(request, timeout=TIMEOUT_S).session

    def list_sessions(self, page_size=0, page_token=""):
        request = self.service.ListSessionsRequest(page_size=page_size, page_token=page_token)
        return self.stub.ListSessions(request, timeout=TIMEOUT_S)

    def delete_session(self, session_id, request_id=""):
        request = self.service.DeleteSessionRequest(session_id=session_id, request_id=request_id)
        self.stub.DeleteSession(request, timeout=TIMEOUT_S)

    def attach(self, session_id, sha256):
        request = self.service.AttachImageRequest(session_id=session_id, sha256=sha256)
        return self.stub.AttachImage(request, timeout=TIMEOUT_S)

    def header(self, session_id, **fields):
        header = self.service.UploadImageHeader(session_id=session_id, **fields)
        return self.service.UploadImageRequest(header=header)

    def chunk(self, data):
        return self.service.UploadImageRequest(chunk=data)

    def send(self, messages):
        """An upload of exactly these messages."""
        return self.stub.UploadImage(iter(messages), timeout=TIMEOUT_S)

    def upload(self, session_id, data):
        digest = hashlib.sha256(data).hexdigest()
        messages = [self.header(session_id, total_bytes=len(data), sha256=digest)]
        for start in range(0, len(data), CHUNK_BYTES):
            messages.append(self.chunk(data[start : start + CHUNK_BYTES]))
        return self.send(messages).image

    def click(self, x, y, **fields):
        return self.prompts.Prompt(click=self.prompts.Click(x=x, y=y), **fields)

    def box(self, x0, y0, x1, y1, **fields):
        return self.prompts.Prompt(box=self.prompts.Box(x0=x0, y0=y0, x1=x1, y1=y1), **fields)

    def word_list(self, words, mode="TEXT_MODE_UNSPECIFIED"):
        return self.words.WordList(words=words, mode=self.words.TextMode.Value(mode))

    def labels(self, objects=(), parts=(), mode="TEXT_MODE_UNSPECIFIED", **fields):
        return self.words.LabelOptions(
            objects=self.word_list(objects, mode) if objects else None,
            parts=self.word_list(parts, mode) if parts else None,
            **fields,
        )

    def segment(self, session_id, image_id, prompts, labels=None, **options):
        """All masks of one streamed call, and its summary."""
        request = self.service.SegmentRequest(
            session_id=session_id,
            image_id=image_id,
            prompts=prompts,
            options=self.service.SegmentOptions(**options),
            labels=labels,
        )
        stream = read_stream(self.stub.Segment(request, timeout=TIMEOUT_S))
        return stream.of("mask"), stream.summary

    def segment_once(self, image_bytes, prompts, labels=None, **options):
        request = self.service.SegmentOnceRequest(
            image_bytes=image_bytes,
            prompts=prompts,
            options=self.service.SegmentOptions(**options),
            labels=labels,
        )
        return self.stub.SegmentOnce(request, timeout=TIMEOUT_S)

    def refresh(self, session_id, mask_ids, labels):
        request = self.service.RefreshLabelsRequest(
            session_id=session_id, mask_ids=mask_ids, labels=labels)
        return self.stub.RefreshLabels(request, timeout=TIMEOUT_S)

    def vocabulary(self, session_id, image_id, things=(), stuff=(), parts=(), **options):
        """One streamed call, read to its end."""
        request = self.service.SegmentVocabularyRequest(
            session_id=session_id,
            image_id=image_id,
            things=self.word_list(things) if things else None,
            stuff=self.word_list(stuff) if stuff else None,
            parts=self.word_list(parts) if parts else None,
            options=self.service.VocabularyOptions(**options),
        )
        return read_stream(self.stub.SegmentVocabulary(request, timeout=LONG_TIMEOUT_S))

    def generate_request(self, session_id, image_id, labels=None, **options):
        return self.service.GenerateMasksRequest(
            session_id=session_id,
            image_id=image_id,
            options=self.service.GenerateMasksOptions(**options),
            labels=labels,
        )

    def generate(self, session_id, image_id, labels=None, **options):
        """One streamed call, read to its end."""
        request = self.generate_request(session_id, image_id, labels, **options)
        return read_stream(self.stub.GenerateMasks(request, timeout=LONG_TIMEOUT_S))

    def send_bytes(self, method, data):
        """Calls a method of the service with bytes that no stub would send."""
        call = self.channel.unary_stream(f"/semsam.v1.SegmentationService/{method}")
        return list(call(data, timeout=TIMEOUT_S))


@dataclasses.dataclass
class Stream:
    """What one answer held, in the order it came."""

    messages: list  # (kind, message), the summary left out
    summary: object

    def of(self, kind):
        return [message for name, message in self.messages if name == kind]


def read_stream(responses):
    """Reads to the end; the summary must come, and come last."""
    messages, summary = [], None
    for response in responses:
        if summary is not None:
            raise AssertionError("the stream went on after its summary")
        kind = response.WhichOneof("payload")
        if kind == "summary":
            summary = response.summary
        else:
            messages.append((kind, getattr(response, kind)))
    if summary is None:
        raise AssertionError("the stream ended without a summary")
    return Stream(messages, summary)


def coco_rle(mask):
    return {"size": [mask.size.height, mask.size.width], "counts": mask.coco_rle}


def pixels(mask):
    """The mask as a boolean array [height, width], from any lossless encoding."""
    shape = (mask.size.height, mask.size.width)
    encoding = mask.WhichOneof("data")
    if encoding == "coco_rle":
        return pycocotools.mask.decode(coco_rle(mask)).astype(bool)
    if encoding == "png":
        image = PIL.Image.open(io.BytesIO(mask.png))
        if image.mode != "L":
            raise AssertionError(f"a PNG mask of mode {image.mode}")
        values = numpy.asarray(image)
        if not set(numpy.unique(values)) <= {0, 255}:
            raise AssertionError("a PNG mask with values other than 0 and 255")
        return values.reshape(shape) == 255
    if encoding == "packed_bits":
        rows = numpy.frombuffer(mask.packed_bits, numpy.uint8).reshape(shape[0], -1)
        return numpy.unpackbits(rows, axis=1, bitorder="big")[:, : shape[1]].astype(bool)
    raise AssertionError(f"no pixels in {encoding}")


def upsampled_logits(mask, height, width):
    """The logits of a mask at every pixel [height, width], bilinear between the cells."""
    grid = numpy.frombuffer(mask.logits.half_values, "<f2").astype(numpy.float32)
    grid = grid.reshape(mask.size.height, mask.size.width)
    rows = (numpy.arange(height) + 0.5) / mask.logits.cell_height - 0.5
    columns = (numpy.arange(width) + 0.5) / mask.logits.cell_width - 0.5
    lines = numpy.stack([numpy.interp(columns, numpy.arange(mask.size.width), row) for row in grid])
    return numpy.stack(
        [numpy.interp(rows, numpy.arange(mask.size.height), line) for line in lines.T], axis=1)


def panoptic_ids(panoptic):
    """The segment of every pixel [height, width], by panopticapi's convention."""
    image = PIL.Image.open(io.BytesIO(panoptic.png))
    if image.mode != "RGB":
        raise AssertionError(f"a panoptic map of mode {image.mode}")
    channels = numpy.asarray(image).astype(numpy.int64)
    return channels[..., 0] + 256 * channels[..., 1] + 65536 * channels[..., 2]


def bounds(mask):
    """x, y, width and height of the set pixels; zeros if there are none."""
    rows, columns = numpy.any(mask, axis=1), numpy.any(mask, axis=0)
    if not rows.any():
        return [0, 0, 0, 0]
    y0, y1 = numpy.flatnonzero(rows)[[0, -1]]
    x0, x1 = numpy.flatnonzero(columns)[[0, -1]]
    return [int(x0), int(y0), int(x1 - x0 + 1), int(y1 - y0 + 1)]
