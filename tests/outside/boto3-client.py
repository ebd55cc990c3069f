"""boto3, Amazon's SDK, against the XML API of devgcs with an HMAC key."""

import io
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from outside import BUCKET, DEVGCS, MIB, gcsd, payload, run, test

s3 = boto3.client(
    "s3",
    endpoint_url=DEVGCS,
    region_name="auto",
    aws_access_key_id="GOOG1EXAMPLE",
    aws_secret_access_key="secret",
    config=Config(retries={"max_attempts": 1}),
)


def body(key):
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()


@test
def objects():
    """put_object, get_object and head_object, with metadata"""
    for size in (0, 1, 100_000):
        key = f"boto3/small-{size}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=payload(size), Metadata={"color": "blue"}, ContentType="text/x")
        head = s3.head_object(Bucket=BUCKET, Key=key)
        assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (size, "text/x", {"color": "blue"})
        assert body(key) == payload(size)
    assert gcsd("get", f"gs://{BUCKET}/boto3/small-100000", "-") == payload(100_000)


@test
def large():
    """upload_fileobj: a multipart upload"""
    data = payload(20 * MIB + 11)
    s3.upload_fileobj(io.BytesIO(data), BUCKET, "boto3/large")
    assert body("boto3/large") == data
    part = s3.get_object(Bucket=BUCKET, Key="boto3/large", Range="bytes=7-16")
    assert part["Body"].read() == data[7:17]


@test
def copies():
    """copy_object keeps the metadata, or replaces it"""
    s3.copy_object(Bucket=BUCKET, Key="boto3/copy", CopySource={"Bucket": BUCKET, "Key": "boto3/small-1"})
    assert s3.head_object(Bucket=BUCKET, Key="boto3/copy")["Metadata"] == {"color": "blue"}
    s3.copy_object(
        Bucket=BUCKET,
        Key="boto3/copy",
        CopySource=f"{BUCKET}/boto3/small-1",
        MetadataDirective="REPLACE",
        Metadata={"x": "y"},
    )
    assert s3.head_object(Bucket=BUCKET, Key="boto3/copy")["Metadata"] == {"x": "y"}


@test
def lists():
    """list_objects, list_objects_v2 with pages, list_buckets"""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="boto3/", PaginationConfig={"PageSize": 2})
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert keys == [f"boto3/{name}" for name in ("copy", "large", "small-0", "small-1", "small-100000")], keys
    assert len(s3.list_objects(Bucket=BUCKET, Prefix="boto3/")["Contents"]) == 5
    assert BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


@test
def access():
    """put_object_acl and get_object_acl"""
    s3.put_object_acl(Bucket=BUCKET, Key="boto3/small-1", ACL="public-read")
    grants = s3.get_object_acl(Bucket=BUCKET, Key="boto3/small-1")["Grants"]
    assert any(grant["Grantee"].get("URI", "").endswith("/AllUsers") for grant in grants), grants
    assert body("boto3/small-1") == payload(1)


@test
def configuration():
    """versioning and tagging of a bucket"""
    s3.create_bucket(Bucket="boto3-bucket")
    s3.put_bucket_versioning(Bucket="boto3-bucket", VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket="boto3-bucket")["Status"] == "Enabled"
    tags = [{"Key": "a", "Value": "b"}]
    s3.put_bucket_tagging(Bucket="boto3-bucket", Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket="boto3-bucket")["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket="boto3-bucket")
    s3.delete_bucket(Bucket="boto3-bucket")


@test
def presigned():
    """a presigned URL reads"""
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "boto3/small-100000"})
    assert urllib.request.urlopen(url, timeout=30).read() == payload(100_000)


@test
def unknown():
    """what Google does not have is refused, and does nothing else"""
    key = {"Bucket": BUCKET, "Key": "boto3/small-1"}
    for call in (
        lambda: s3.put_object_tagging(**key, Tagging={"TagSet": []}),
        lambda: s3.delete_object_tagging(**key),
        lambda: s3.put_object(**key, Body=b"", Tagging="a=b"),
        lambda: s3.put_object(**key, Body=b"", IfNoneMatch="*"),
        lambda: s3.delete_bucket_policy(Bucket=BUCKET),
    ):
        try:
            call()
        except ClientError as error:
            assert error.response["Error"]["Code"] == "NotImplemented", error
        else:
            raise AssertionError("it was carried out")
    assert body("boto3/small-1") == payload(1)


@test
def deletes():
    """delete_objects deletes several at once"""
    keys = [{"Key": f"boto3/{name}"} for name in ("copy", "large", "none")]
    deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})["Deleted"]
    assert len(deleted) == 3
    assert "boto3/large" not in [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


run()
