//! `?acl`, of a bucket or an object (<https://cloud.google.com/storage/docs/xml-api/put-bucket-acls>).
//!
//! A request that is signed as Amazon's are is answered in Amazon's form, and may come in it.

use std::sync::Arc;

use http::{Method, Response, StatusCode};

use super::admit::is_signed_by_amazon;
use super::element::Element;
use super::object::conditions;
use super::tree::Node;
use crate::acl::{self, Grant, Grants};
use crate::answer::empty;
use crate::call::Call;
use crate::error::Error;
use crate::json as document;
use crate::resource::BucketRecord;
use crate::response_body::ResponseBody;
use crate::service::Service;

/// How the two APIs name roles.
const PERMISSIONS: [(&str, &str); 3] = [("OWNER", "FULL_CONTROL"), ("WRITER", "WRITE"), ("READER", "READ")];

/// Amazon's names for everybody, and for everybody who is known.
const GROUPS: [(&str, &str); 2] = [
    ("allUsers", "http://acs.amazonaws.com/groups/global/AllUsers"),
    (
        "allAuthenticatedUsers",
        "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
    ),
];

/// `GET` and `PUT /BUCKET?acl`, `GET` and `PUT /BUCKET/OBJECT?acl`.
pub(super) async fn call(
    service: &Arc<Service>,
    call: &mut Call,
    bucket: String,
    name: Option<String>,
) -> Result<Response<ResponseBody>, Error> {
    let record = service.bucket(&bucket)?;
    acl::refuse_uniform(record.is_uniform(), "use the ACL API")?;
    let generation = call.query.number("generation")?;
    if call.method == Method::GET {
        let grants = match &name {
            None => record.grants(),
            Some(name) => service.find(&bucket, name, generation)?.grants(),
        };
        let document = match is_signed_by_amazon(call) {
            true => in_amazons_form(&grants),
            false => in_googles_form(&grants),
        };
        return Ok(document.answer(StatusCode::OK));
    }
    let grants = wanted(call, name.is_none()).await?;
    acl::refuse_public(&grants, record.prevents_public_access())?;
    let conditions = conditions(&call.headers)?;
    match name {
        None => {
            let change = move |record: &mut BucketRecord| {
                crate::preconditions::check_metageneration(&conditions, record.metageneration)?;
                record.acl = Some(grants);
                Ok(())
            };
            service.change_bucket(bucket, change).await?;
        }
        Some(name) => {
            service
                .change(move |turn| {
                    turn.update(&bucket, &name, generation, &conditions, |object| {
                        object.acl = Some(grants);
                        Ok(())
                    })
                })
                .await?;
        }
    }
    Ok(empty(StatusCode::OK))
}

/// The list that a request brings: in a header, or in its body.
async fn wanted(call: &mut Call, of_bucket: bool) -> Result<Grants, Error> {
    let body = call.body.collect(document::MAX_BODY).await?;
    if let Some(name) = call.header("x-goog-acl") {
        return match of_bucket {
            true => acl::for_bucket(name),
            false => acl::for_object(name),
        };
    }
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let root = Node::read(text);
    let grants = match &root {
        Some(root) if root.name == "AccessControlList" => from_google(root, of_bucket),
        Some(root) if root.name == "AccessControlPolicy" => from_amazon(root, of_bucket),
        _ => None,
    };
    grants.unwrap_or_else(|| {
        Err(Error::invalid(
            "The XML you provided was not well-formed, or is no access control list.",
        ))
    })
}

fn grant(entity: &str, permission: &str, of_bucket: bool) -> Result<Grant, Error> {
    let known = PERMISSIONS.iter().find(|(_, theirs)| *theirs == permission);
    let role = known.map_or(permission, |(role, _)| role);
    Grant::checked(entity, role, of_bucket)
}

/// `None` if the form is wrong.
fn from_google(root: &Node, of_bucket: bool) -> Option<Result<Grants, Error>> {
    let entries = root.child("Entries")?.all("Entry");
    let entries = entries.map(|entry| {
        let scope = entry.child("Scope")?;
        let named = |prefix: &str, key: &str| Some(format!("{prefix}-{}", scope.text_of(key)?));
        let entity = match scope.kind.as_deref()? {
            "AllUsers" => "allUsers".to_owned(),
            "AllAuthenticatedUsers" => "allAuthenticatedUsers".to_owned(),
            "UserByEmail" => named("user", "EmailAddress")?,
            "UserById" => named("user", "ID")?,
            "GroupByEmail" => named("group", "EmailAddress")?,
            "GroupByDomain" => named("domain", "Domain")?,
            // A project's teams are groups with an id.
            "GroupById" => match scope.text_of("ID")? {
                team if team.starts_with("project-") => team.to_owned(),
                id => format!("group-{id}"),
            },
            _ => return None,
        };
        Some(grant(&entity, entry.text_of("Permission")?, of_bucket))
    });
    let entries: Option<Vec<Result<Grant, Error>>> = entries.collect();
    entries.map(|entries| entries.into_iter().collect())
}

fn from_amazon(root: &Node, of_bucket: bool) -> Option<Result<Grants, Error>> {
    let entries = root.child("AccessControlList")?.all("Grant");
    let entries = entries.map(|entry| {
        let grantee = entry.child("Grantee")?;
        let entity = match grantee.kind.as_deref()? {
            "Group" => {
                let uri = grantee.text_of("URI")?;
                GROUPS.iter().find(|(_, known)| *known == uri)?.0.to_owned()
            }
            "CanonicalUser" => match grantee.text_of("ID")? {
                team if team.starts_with("project-") => team.to_owned(),
                id => format!("user-{id}"),
            },
            "AmazonCustomerByEmail" => format!("user-{}", grantee.text_of("EmailAddress")?),
            _ => return None,
        };
        Some(grant(&entity, entry.text_of("Permission")?, of_bucket))
    });
    let entries: Option<Vec<Result<Grant, Error>>> = entries.collect();
    entries.map(|entries| entries.into_iter().collect())
}

fn permission(grant: &Grant) -> &'static str {
    let known = PERMISSIONS.iter().find(|(role, _)| *role == grant.role);
    known.map_or("READ", |(_, permission)| permission)
}

fn in_googles_form(grants: &Grants) -> Element {
    let entries = grants.iter().map(|grant| {
        let entity = grant.entity.as_str();
        let scope = |kind: &str| Element::with("Scope", "type", kind);
        let scope = match entity.split_once('-') {
            Some(("user", name)) if name.contains('@') => scope("UserByEmail").text("EmailAddress", name),
            Some(("user", id)) => scope("UserById").text("ID", id),
            Some(("group", name)) if name.contains('@') => scope("GroupByEmail").text("EmailAddress", name),
            Some(("group", id)) => scope("GroupById").text("ID", id),
            Some(("domain", name)) => scope("GroupByDomain").text("Domain", name),
            Some(_) => scope("GroupById").text("ID", entity),
            None if entity == "allUsers" => scope("AllUsers"),
            None => scope("AllAuthenticatedUsers"),
        };
        Element::new("Entry")
            .text("Permission", permission(grant))
            .child(scope)
    });
    Element::new("AccessControlList")
        .child(Element::new("Owner").text("ID", "project-owners-0"))
        .child(Element::new("Entries").children(entries))
}

fn in_amazons_form(grants: &Grants) -> Element {
    let entries = grants.iter().map(|grant| {
        let entity = grant.entity.as_str();
        let grantee = |kind: &str| {
            Element::with(
                "Grantee",
                "xmlns:xsi",
                "http://www.w3.org/2001/XMLSchema-instance",
            )
            .attribute("xsi:type", kind)
        };
        let group = GROUPS.iter().find(|(known, _)| *known == entity);
        let grantee = match (group, entity.split_once('-')) {
            (Some((_, uri)), _) => grantee("Group").text("URI", uri),
            (None, Some(("user", name))) if name.contains('@') => {
                grantee("AmazonCustomerByEmail").text("EmailAddress", name)
            }
            (None, Some(("user", id))) => grantee("CanonicalUser").text("ID", id),
            (None, _) => grantee("CanonicalUser").text("ID", entity),
        };
        Element::new("Grant")
            .child(grantee)
            .text("Permission", permission(grant))
    });
    Element::in_s3("AccessControlPolicy")
        .child(Element::new("Owner").text("ID", "project-owners-0"))
        .child(Element::new("AccessControlList").children(entries))
}
