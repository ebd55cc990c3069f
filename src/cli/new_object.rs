//! What an object will be: its metadata, and the conditions under which it appears.

use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use super::conditions::{Conditions, Payer};
use super::encryption_key::KeyArgs;
use super::exit::Failure;
use super::gs_url::GsUrl;
use super::metadata::{Said, object_json, pair};
use gcsd_types::{Destination, EncryptionKey, ObjectRef, Preconditions};

/// Why nothing was made.
pub(super) const THERE: &str = "the object is there (--no-clobber)";

/// The metadata of a new object.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The new object")]
pub(super) struct NewObject {
    /// Its content type, such as 'text/plain' [default: of uploads by the name's end, such as '.txt'; else that of the source, or
    /// application/octet-stream].
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// Its content encoding, such as 'gzip'.
    #[arg(long, value_name = "ENCODING")]
    content_encoding: Option<String>,
    /// Its content disposition, such as 'attachment; filename="a.txt"'.
    #[arg(long, value_name = "TEXT")]
    content_disposition: Option<String>,
    /// Its content language, such as 'en'.
    #[arg(long, value_name = "LANGUAGE")]
    content_language: Option<String>,
    /// How it may be cached, such as 'no-cache' or 'public,max-age=3600'.
    #[arg(long, value_name = "TEXT")]
    cache_control: Option<String>,
    /// Metadata of your own; may be repeated.
    #[arg(long, value_name = "KEY=VALUE,...", value_delimiter = ',', value_parser = pair)]
    custom_metadata: Vec<(String, String)>,
    /// Its storage class, such as 'NEARLINE' [default: the bucket's].
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,
    /// Anything else of GCS's object resource, as a JSON object.
    #[arg(long, value_name = "JSON")]
    object_json: Option<String>,
    /// The Cloud KMS key that encrypts it.
    #[arg(long, value_name = "KEY")]
    kms_key_name: Option<String>,
    /// One of GCS's predefined ACLs, such as 'publicRead'.
    #[arg(long, value_name = "ACL")]
    predefined_acl: Option<String>,
    #[command(flatten)]
    pub(super) payer: Payer,
    /// Skip what is there already, and say so: that is no failure. --if-generation-match 0 makes it one.
    #[arg(long, short = 'n', conflicts_with = "if_generation_match")]
    no_clobber: bool,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    conditions: Conditions,
}

/// What all objects that a command makes have in common, with every file read that it comes from.
#[derive(Debug, Clone)]
pub(super) struct Template {
    preconditions: Preconditions,
    user_project: Option<String>,
    kms_key_name: Option<String>,
    predefined_acl: Option<String>,
    metadata: Bytes,
    key: Option<EncryptionKey>,
    no_clobber: bool,
}

impl Template {
    /// Whether objects that are there stay as they are.
    pub(super) fn is_no_clobber(&self) -> bool {
        self.no_clobber
    }

    /// Whether an object that is copied onto itself becomes another one.
    pub(super) fn changes_anything(&self) -> bool {
        !self.metadata.is_empty()
            || self.kms_key_name.is_some()
            || self.predefined_acl.is_some()
            || self.key.is_some()
    }

    /// The project that pays.
    pub(super) fn user_project(&self) -> Option<&str> {
        self.user_project.as_deref()
    }

    /// The object at `url`, for a request that makes it at once.
    pub(super) fn destination(&self, url: &GsUrl) -> Destination {
        Destination {
            preconditions: self.preconditions,
            user_project: self.user_project.clone(),
            kms_key_name: self.kms_key_name.clone(),
            predefined_acl: self.predefined_acl.clone(),
            metadata: self.metadata.clone(),
            key: self.key.clone(),
            ..Destination::new(url.bucket.clone(), url.object.clone())
        }
    }

    /// The object at `url`, for an upload of `size` bytes, where that is known, from a source that says this.
    pub(super) fn to_upload(&self, url: &GsUrl, size: Option<u64>, said: &Said) -> gcsd_client::NewObject {
        let mut destination = self.destination(url);
        destination.metadata = said.add_to(&destination.metadata, url.object.as_str());
        let mut object = gcsd_client::NewObject::from(destination);
        object.size = size;
        object
    }

    /// The object that is at `url` now.
    pub(super) fn at(&self, url: &GsUrl) -> ObjectRef {
        ObjectRef {
            user_project: self.user_project.clone(),
            key: self.key.clone(),
            ..ObjectRef::new(url.bucket.clone(), url.object.clone())
        }
    }
}

impl NewObject {
    /// Whether objects that are there stay as they are.
    pub(super) fn is_no_clobber(&self) -> bool {
        self.no_clobber
    }

    /// Reads what the flags name. The key's file may be a pipe, which can be read once.
    pub(super) fn template(&self) -> Result<Template, Failure> {
        let mut preconditions = Preconditions::from(&self.conditions);
        if self.no_clobber {
            preconditions.if_generation_match = Some(0);
        }
        Ok(Template {
            preconditions,
            user_project: self.payer.user_project.clone(),
            kms_key_name: self.kms_key_name.clone(),
            predefined_acl: self.predefined_acl.clone(),
            metadata: self.resource()?,
            key: self.key.read()?,
            no_clobber: self.no_clobber,
        })
    }

    /// What an upload of `size` bytes, if that is known, will become.
    pub(super) fn to_upload(
        &self,
        url: &GsUrl,
        size: Option<u64>,
        said: &Said,
    ) -> Result<gcsd_client::NewObject, Failure> {
        Ok(self.template()?.to_upload(url, size, said))
    }

    /// GCS's object resource as JSON; empty where nothing is said.
    fn resource(&self) -> Result<Bytes, Failure> {
        let mut resource = object_json(self.object_json.as_deref())?;
        let texts = [
            ("contentType", &self.content_type),
            ("contentEncoding", &self.content_encoding),
            ("contentDisposition", &self.content_disposition),
            ("contentLanguage", &self.content_language),
            ("cacheControl", &self.cache_control),
            ("storageClass", &self.storage_class),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                resource.insert(field.to_owned(), Value::String(text.clone()));
            }
        }
        if !self.custom_metadata.is_empty() {
            let own = self.custom_metadata.iter();
            let own = own.map(|(key, value)| (key.clone(), Value::String(value.clone())));
            resource.insert("metadata".to_owned(), own.collect());
        }
        if resource.is_empty() {
            return Ok(Bytes::new());
        }
        Ok(Value::Object(resource).to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_the_object_resource() {
        let new = NewObject {
            content_type: Some("text/plain".into()),
            custom_metadata: vec![("a".into(), "b=c".into())],
            object_json: Some(r#"{"eventBasedHold":true,"contentType":"x/y"}"#.into()),
            no_clobber: true,
            ..NewObject::default()
        };
        let url: GsUrl = "gs://bucket/object".parse().expect("a URL");
        let args = new
            .to_upload(&url, Some(3), &Said::default())
            .expect("good flags");
        assert_eq!(
            args.destination.metadata,
            r#"{"contentType":"text/plain","eventBasedHold":true,"metadata":{"a":"b=c"}}"#
        );
        assert_eq!(args.destination.preconditions.if_generation_match, Some(0));
        let args = NewObject::default()
            .to_upload(&url, None, &Said::default())
            .expect("no flags");
        assert!(args.destination.metadata.is_empty());
        let bad = NewObject {
            object_json: Some("[]".into()),
            ..NewObject::default()
        };
        assert!(bad.to_upload(&url, None, &Said::default()).is_err());
    }
}
