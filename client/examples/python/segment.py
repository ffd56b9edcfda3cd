r"""The main job from Python: upload a picture once, then click on it.

  pip install grpcio grpcio-tools pycocotools numpy
  mkdir -p stub
  python -m grpc_tools.protoc -I proto --python_out=stub --grpc_python_out=stub \
      proto/semsam/v1/*.proto
  PYTHONPATH=stub python client/examples/python/segment.py localhost:50051 photo.jpg 320,240 100,80

The same service without any stub, through reflection:

  printf '{"image_bytes": "%s", "prompts": [{"click": {"x": 320, "y": 240}}]}' \
      "$(base64 -w0 photo.jpg)" |
    grpcurl -plaintext -d @ localhost:50051 semsam.v1.SegmentationService/SegmentOnce
"""

import sys

import grpc
from pycocotools import mask as coco

from semsam.v1 import prompt_pb2
from semsam.v1 import segmentation_service_pb2 as pb
from semsam.v1 import segmentation_service_pb2_grpc as rpc

CHUNK_BYTES = 256 << 10


def upload_messages(session_id, data):
    yield pb.UploadImageRequest(
        header=pb.UploadImageHeader(session_id=session_id, total_bytes=len(data))
    )
    for start in range(0, len(data), CHUNK_BYTES):
        yield pb.UploadImageRequest(chunk=data[start : start + CHUNK_BYTES])


def main(server, path, *clicks):
    service = rpc.SegmentationServiceStub(grpc.insecure_channel(server))
    session = service.CreateSession(pb.CreateSessionRequest(), timeout=10).session
    try:
        with open(path, "rb") as file:
            messages = upload_messages(session.session_id, file.read())
            image = service.UploadImage(messages, timeout=120).image
        for click in clicks:
            x, y = map(float, click.split(","))
            request = pb.SegmentRequest(
                session_id=session.session_id,
                image_id=image.image_id,
                prompts=[prompt_pb2.Prompt(click=prompt_pb2.Click(x=x, y=y))],
            )
            for answer in service.Segment(request, timeout=30):
                if answer.HasField("mask"):
                    mask = answer.mask
                    size = [mask.size.height, mask.size.width]
                    pixels = coco.decode({"size": size, "counts": mask.coco_rle})  # [H, W], 0 or 1
                    print(f"{click}: level {mask.level}, predicted IoU {mask.predicted_iou:.3f}, "
                          f"{pixels.sum()} of {pixels.size} px")
    finally:
        service.DeleteSession(pb.DeleteSessionRequest(session_id=session.session_id), timeout=10)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: segment.py HOST:PORT IMAGE X,Y [X,Y ...]")
    main(*sys.argv[1:])
