"""What a Python program knows of the service: stubs made from the protocol, and mask decoders.

Nothing here comes from the C++ side: the protocol compiler is grpc_tools, run
lengths are decoded by pycocotools, PNG by Pillow.
"""

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


class Peer:
    """A client made of generated stubs. The stubs must have been generated."""

    def __init__(self, server):
        self.masks = importlib.import_module("semsam.v1.mask_pb2")
        self.prompts = importlib.import_module("semsam.v1.prompt_pb2")
        self.service = importlib.import_module("semsam.v1.segmentation_service_pb2")
        stubs = importlib.import_module("semsam.v1.segmentation_service_pb2_grpc")
        self.channel = grpc.insecure_channel(server)
        self.stub = stubs.SegmentationServiceStub(self.channel)

    def info(self):
        return self.stub.GetServerInfo(self.service.GetServerInfoRequest(), timeout=TIMEOUT_S)

    def create_session(self):
        request = self.service.CreateSessionRequest()
        return self.stub.CreateSession(request, timeout=TIMEOUT_S).session.session_id

    def delete_session(self, session_id):
        request = self.service.DeleteSessionRequest(session_id=session_id)
        self.stub.DeleteSession(request, timeout=TIMEOUT_S)

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

    def segment(self, session_id, image_id, prompts, **options):
        """All masks of one streamed call, and its summary."""
        request = self.service.SegmentRequest(
            session_id=session_id,
            image_id=image_id,
            prompts=prompts,
            options=self.service.SegmentOptions(**options),
        )
        masks, summary = [], None
        for response in self.stub.Segment(request, timeout=TIMEOUT_S):
            if summary is not None:
                raise AssertionError("the stream went on after its summary")
            if response.WhichOneof("payload") == "summary":
                summary = response.summary
            else:
                masks.append(response.mask)
        if summary is None:
            raise AssertionError("the stream ended without a summary")
        return masks, summary

    def segment_once(self, image_bytes, prompts, **options):
        request = self.service.SegmentOnceRequest(
            image_bytes=image_bytes,
            prompts=prompts,
            options=self.service.SegmentOptions(**options),
        )
        return self.stub.SegmentOnce(request, timeout=TIMEOUT_S)


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
