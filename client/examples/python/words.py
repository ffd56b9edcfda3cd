r"""Words from Python: name the masks of a click, name them anew, and find what words name.

  python client/examples/python/words.py localhost:50051 photo.jpg 320,240 dog,cat beagle,poodle

Needs the stub that segment.py describes, and a model with text: the published
SA-1B checkpoints have none, and the server answers FAILED_PRECONDITION.
"""

import sys

import grpc

from segment import upload_messages
from semsam.v1 import prompt_pb2
from semsam.v1 import segmentation_service_pb2 as pb
from semsam.v1 import segmentation_service_pb2_grpc as rpc
from semsam.v1 import words_pb2


def word_list(words):
    return words_pb2.WordList(words=words.split(","))


def describe(labels):
    return ", ".join(f"{label.name} {label.score:.2f}" for label in labels)


def main(server, path, click, words, other_words):
    service = rpc.SegmentationServiceStub(grpc.insecure_channel(server))
    session = service.CreateSession(pb.CreateSessionRequest(), timeout=10).session.session_id
    try:
        with open(path, "rb") as file:
            messages = upload_messages(session, file.read())
            image = service.UploadImage(messages, timeout=120).image.image_id

        x, y = map(float, click.split(","))
        request = pb.SegmentRequest(
            session_id=session,
            image_id=image,
            prompts=[prompt_pb2.Prompt(click=prompt_pb2.Click(x=x, y=y))],
            labels=words_pb2.LabelOptions(objects=word_list(words)),
        )
        answers = service.Segment(request, timeout=300)
        masks = [answer.mask for answer in answers if answer.HasField("mask")]
        for mask in masks:
            print(f"level {mask.level}: {describe(mask.object_labels)}")

        # Other words for the same masks: the decoder does not run again.
        request = pb.RefreshLabelsRequest(
            session_id=session,
            mask_ids=[mask.mask_id for mask in masks],
            labels=words_pb2.LabelOptions(objects=word_list(other_words)),
        )
        for mask, named in zip(masks, service.RefreshLabels(request, timeout=300).masks):
            print(f"level {mask.level}: {describe(named.object_labels)}")

        # No click: every instance of the words, by falling score.
        request = pb.SegmentVocabularyRequest(
            session_id=session,
            image_id=image,
            things=word_list(words),
            options=pb.VocabularyOptions(min_score=0.3),
        )
        for answer in service.SegmentVocabulary(request, timeout=300):
            if answer.HasField("segment"):
                segment = answer.segment
                print(f"{segment.name}: score {segment.score:.2f}, {segment.mask.area} px")
    finally:
        service.DeleteSession(pb.DeleteSessionRequest(session_id=session), timeout=10)


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: words.py HOST:PORT IMAGE X,Y WORD[,WORD ...] OTHER_WORD[,...]")
    main(*sys.argv[1:])
