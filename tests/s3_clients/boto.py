"""Drives boto3 with its default settings through the proxy, with every kind of request.

Usage: boto.py ENDPOINT CERTIFICATE
"""
import io
import sys

import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

ENDPOINT, CERTIFICATE = sys.argv[1:]
BUCKET = "bucket"
MIB = 1024 * 1024
ODD = "Gr\u00fc\u00dfe & 'more' (100%) + \"~\"/a b;c=d?e#f,$@:![x].txt"

s3 = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    verify=CERTIFICATE,
    region_name="eu-central-1",
    aws_access_key_id="made-up",
    aws_secret_access_key="made-up",
)


def body(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def get(key, **more):
    return s3.get_object(Bucket=BUCKET, Key=key, **more)["Body"].read()


def missing(key):
    try:
        s3.head_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    return False


def put_get_head():
    for size in 0, 1, 5000, 3 * MIB:
        for key in "plain", ODD:
            metadata = {"size": str(size), "with_underscore.and-dot": "a \t b"}
            s3.put_object(Bucket=BUCKET, Key=key, Body=body(size), Metadata=metadata)
            assert get(key) == body(size)
            head = s3.head_object(Bucket=BUCKET, Key=key)
            metadata["with_underscore.and-dot"] = "a   b"
            assert head["ContentLength"] == size and head["Metadata"] == metadata
    s3.put_object(Bucket=BUCKET, Key="text", Body="text", ContentType="text/plain")
    assert get("text", Range="bytes=1-2") == b"ex"
    for algorithm in "CRC32", "SHA256":
        # behind the body over https, in a header over http
        s3.put_object(Bucket=BUCKET, Key="checked", Body=body(70000), ChecksumAlgorithm=algorithm)
        assert get("checked", ChecksumMode="ENABLED") == body(70000)
        stream = io.BytesIO(body(200000))
        s3.upload_fileobj(stream, BUCKET, "streamed", ExtraArgs={"ChecksumAlgorithm": algorithm})
        assert get("streamed") == body(200000)


def list_pages():
    keys = {f"list/{number:03} {part}" for number in range(12) for part in ("a", "b~c")}
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    pages = list(
        s3.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 5}
        )
    )
    assert len(pages) == 5, len(pages)
    assert {item["Key"] for page in pages for item in page["Contents"]} == keys
    folded = s3.list_objects_v2(Bucket=BUCKET, Delimiter="/", MaxKeys=1000)
    assert "list/" in [prefix["Prefix"] for prefix in folded["CommonPrefixes"]]
    assert "bucket" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]

    first, *rest = sorted(keys)
    s3.delete_object(Bucket=BUCKET, Key=first)
    assert missing(first)
    deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in rest]})
    assert len(deleted["Deleted"]) == len(rest) and "Errors" not in deleted
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="list/")["KeyCount"] == 0


def copy_and_tag():
    s3.put_object(Bucket=BUCKET, Key=ODD, Body=body(1000))
    s3.copy_object(Bucket=BUCKET, Key="copy of", CopySource={"Bucket": BUCKET, "Key": ODD})
    assert get("copy of") == body(1000)
    tags = [{"Key": "a b", "Value": "c+d"}]
    s3.put_object_tagging(Bucket=BUCKET, Key="copy of", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=BUCKET, Key="copy of")["TagSet"] == tags


def in_parts():
    data = body(64 * MIB)
    s3.upload_fileobj(io.BytesIO(data), BUCKET, "large")
    received = io.BytesIO()
    s3.download_fileobj(BUCKET, "large", received)
    assert received.getvalue() == data
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "large copy", Config=config)
    assert s3.head_object(Bucket=BUCKET, Key="large copy")["ContentLength"] == len(data)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="never")["UploadId"]
    s3.upload_part(Bucket=BUCKET, Key="never", UploadId=upload, PartNumber=1, Body=b"part")
    s3.abort_multipart_upload(Bucket=BUCKET, Key="never", UploadId=upload)
    assert missing("never")


for step in put_get_head, list_pages, copy_and_tag, in_parts:
    step()
print(f"botocore {botocore.__version__}")
