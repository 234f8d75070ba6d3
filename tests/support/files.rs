//! The server of files, with what it lacks: tags of objects, and encoded keys in lists.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

/// What `async fn` in the trait stands for.
type Reply<'a, T> = Pin<Box<dyn Future<Output = S3Result<S3Response<T>>> + Send + 'a>>;

/// Objects in files, and their tags by bucket and key.
pub struct Files {
    files: FileSystem,
    tags: Mutex<HashMap<(String, String), Vec<Tag>>>,
}

impl Files {
    pub fn new(files: FileSystem) -> Self {
        Files { files, tags: Mutex::default() }
    }
}

fn reply<'a, T: Send + 'a>(output: S3Result<T>) -> Reply<'a, T> {
    Box::pin(std::future::ready(output.map(S3Response::new)))
}

/// A list with its keys as `encoding-type=url` wants them.
fn encoded(mut list: ListObjectsV2Output) -> ListObjectsV2Output {
    if list.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL) {
        let encode = |key: &mut Option<String>| {
            *key = key.as_ref().map(|key| super::encode_path(key.as_bytes()));
        };
        list.contents.iter_mut().flatten().for_each(|object| encode(&mut object.key));
        list.common_prefixes.iter_mut().flatten().for_each(|folded| encode(&mut folded.prefix));
        encode(&mut list.prefix);
    }
    list
}

macro_rules! of_files {
    ($($name:ident $input:ident $output:ident,)*) => {$(
        fn $name<'s, 'a>(&'s self, req: S3Request<$input>) -> Reply<'a, $output>
        where
            's: 'a,
            Self: 'a,
        {
            self.files.$name(req)
        }
    )*};
}

impl S3 for Files {
    of_files! {
        abort_multipart_upload AbortMultipartUploadInput AbortMultipartUploadOutput,
        complete_multipart_upload CompleteMultipartUploadInput CompleteMultipartUploadOutput,
        copy_object CopyObjectInput CopyObjectOutput,
        create_bucket CreateBucketInput CreateBucketOutput,
        create_multipart_upload CreateMultipartUploadInput CreateMultipartUploadOutput,
        delete_bucket DeleteBucketInput DeleteBucketOutput,
        delete_object DeleteObjectInput DeleteObjectOutput,
        delete_objects DeleteObjectsInput DeleteObjectsOutput,
        get_bucket_location GetBucketLocationInput GetBucketLocationOutput,
        get_object GetObjectInput GetObjectOutput,
        head_bucket HeadBucketInput HeadBucketOutput,
        head_object HeadObjectInput HeadObjectOutput,
        list_buckets ListBucketsInput ListBucketsOutput,
        list_objects ListObjectsInput ListObjectsOutput,
        list_parts ListPartsInput ListPartsOutput,
        put_object PutObjectInput PutObjectOutput,
        upload_part UploadPartInput UploadPartOutput,
        upload_part_copy UploadPartCopyInput UploadPartCopyOutput,
    }

    fn list_objects_v2<'s, 'a>(
        &'s self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Reply<'a, ListObjectsV2Output>
    where
        's: 'a,
        Self: 'a,
    {
        let list = self.files.list_objects_v2(req);
        Box::pin(async { list.await.map(|response| response.map_output(encoded)) })
    }

    fn put_object_tagging<'s, 'a>(
        &'s self,
        req: S3Request<PutObjectTaggingInput>,
    ) -> Reply<'a, PutObjectTaggingOutput>
    where
        's: 'a,
        Self: 'a,
    {
        let PutObjectTaggingInput { bucket, key, tagging, .. } = req.input;
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.insert((bucket, key), tagging.tag_set);
        reply(Ok(PutObjectTaggingOutput::default()))
    }

    fn get_object_tagging<'s, 'a>(
        &'s self,
        req: S3Request<GetObjectTaggingInput>,
    ) -> Reply<'a, GetObjectTaggingOutput>
    where
        's: 'a,
        Self: 'a,
    {
        let GetObjectTaggingInput { bucket, key, .. } = req.input;
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let found = tags.get(&(bucket, key)).cloned().ok_or_else(|| s3_error!(NoSuchKey));
        reply(found.map(|tag_set| GetObjectTaggingOutput { tag_set, version_id: None }))
    }
}
