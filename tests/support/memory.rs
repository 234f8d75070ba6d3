//! Objects in memory, for keys that no file can have.

use std::collections::BTreeMap;
use std::pin::Pin;

use hyper::body::Bytes;
use s3s::dto::{
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, Range, StreamingBlob,
};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};

use super::s3::Buckets;

/// What `async fn` in the trait stands for.
type Reply<'a, T> = Pin<Box<dyn Future<Output = S3Result<S3Response<T>>> + Send + 'a>>;

/// Buckets by name, their objects by key.
pub struct Memory(BTreeMap<String, BTreeMap<String, Bytes>>);

impl Memory {
    pub fn new(buckets: Buckets<'_>) -> Self {
        let object = |&(key, body): &(&str, &[u8])| (key.to_owned(), Bytes::copy_from_slice(body));
        let bucket = |&(name, objects): &(&str, &[(&str, &[u8])])| {
            (name.to_owned(), objects.iter().map(object).collect())
        };
        Memory(buckets.iter().map(bucket).collect())
    }

    fn bucket(&self, name: &str) -> S3Result<&BTreeMap<String, Bytes>> {
        self.0.get(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// The bytes asked for, and how `Content-Range` describes them.
    fn object(
        &self,
        bucket: &str,
        key: &str,
        range: Option<Range>,
    ) -> S3Result<(Bytes, Option<String>)> {
        let body = self.bucket(bucket)?.get(key).ok_or_else(|| s3_error!(NoSuchKey))?;
        let Some(range) = range else { return Ok((body.clone(), None)) };
        let part = range.check(body.len() as u64)?;
        let described = format!("bytes {}-{}/{}", part.start, part.end - 1, body.len());
        Ok((body.slice(part.start as usize..part.end as usize), Some(described)))
    }

    fn list(&self, input: &ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let objects = self.bucket(&input.bucket)?.iter();
        let object = |(key, body): (&String, &Bytes)| Object {
            key: Some(key.clone()),
            size: Some(body.len() as i64),
            ..Object::default()
        };
        let contents: Vec<_> =
            objects.filter(|(key, _)| key.starts_with(prefix)).map(object).collect();
        Ok(ListObjectsV2Output {
            name: Some(input.bucket.clone()),
            prefix: input.prefix.clone(),
            key_count: Some(contents.len() as i32),
            is_truncated: Some(false),
            contents: Some(contents),
            ..ListObjectsV2Output::default()
        })
    }
}

fn reply<'a, T: Send + 'a>(output: S3Result<T>) -> Reply<'a, T> {
    Box::pin(std::future::ready(output.map(S3Response::new)))
}

impl S3 for Memory {
    fn get_object<'s, 'a>(&'s self, req: S3Request<GetObjectInput>) -> Reply<'a, GetObjectOutput>
    where
        's: 'a,
        Self: 'a,
    {
        let object = self.object(&req.input.bucket, &req.input.key, req.input.range);
        reply(object.map(|(body, content_range)| GetObjectOutput {
            content_length: Some(body.len() as i64),
            body: Some(StreamingBlob::from(Body::from(body))),
            content_range,
            ..GetObjectOutput::default()
        }))
    }

    fn head_object<'s, 'a>(&'s self, req: S3Request<HeadObjectInput>) -> Reply<'a, HeadObjectOutput>
    where
        's: 'a,
        Self: 'a,
    {
        let object = self.object(&req.input.bucket, &req.input.key, req.input.range);
        reply(object.map(|(body, content_range)| HeadObjectOutput {
            content_length: Some(body.len() as i64),
            content_range,
            ..HeadObjectOutput::default()
        }))
    }

    fn list_objects_v2<'s, 'a>(
        &'s self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Reply<'a, ListObjectsV2Output>
    where
        's: 'a,
        Self: 'a,
    {
        reply(self.list(&req.input))
    }
}
