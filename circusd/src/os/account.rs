//! Users and groups by name or number: looked up off the decision thread, remembered until told to forget.

use std::{collections::HashMap, ffi::CString, sync::Mutex};

use circus_common::config::Account;
use nix::unistd::{Gid, Group, Uid, User};

/// How many answers are remembered; a configuration names a handful.
const REMEMBERED: usize = 1024;

/// What a process becomes before its program runs. A number that is absent is not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The supplementary groups, set only together with a user.
    pub groups: Option<Vec<u32>>,
}

type Key = (Option<Account>, Option<Account>);

/// The remembered answers.
#[derive(Debug, Default)]
pub struct Identities(Mutex<HashMap<Key, Identity>>);

impl Identities {
    /// Finds what a process with these settings becomes. May ask the network; never call it on the decision thread.
    ///
    /// # Errors
    /// A readable text when a name is unknown or the lookup fails. Failures are not remembered.
    pub fn find(&self, uid: Option<&Account>, gid: Option<&Account>) -> Result<Identity, String> {
        if uid.is_none() && gid.is_none() {
            return Ok(Identity::default());
        }
        let key = (uid.cloned(), gid.cloned());
        if let Some(known) = self.known().get(&key) {
            return Ok(known.clone());
        }
        let identity = look_up(uid, gid)?;
        let mut known = self.known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, identity.clone());
        Ok(identity)
    }

    /// Forgets all answers.
    pub fn flush(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Identity>> {
        // The map is whole after every step, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The numbers of a user and a group as `set` stores them.
///
/// # Errors
/// A readable text when one is unknown.
pub fn resolve(uid: Option<&Account>, gid: Option<&Account>) -> Result<(Option<u32>, Option<u32>), String> {
    let user = uid.map(user).transpose()?.map(|user| user.uid.as_raw());
    Ok((user, gid.map(group).transpose()?))
}

/// For number 0 no call is made, as in Circus: the process keeps what circusd has. A group that is not set at all is the
/// user's own.
fn look_up(uid: Option<&Account>, gid: Option<&Account>) -> Result<Identity, String> {
    let user = uid.map(user).transpose()?.filter(|user| !user.uid.is_root());
    let group = gid.map(group).transpose()?;
    let changed = |gid: u32| Some(gid).filter(|gid| *gid != 0);
    let Some(user) = user else {
        return Ok(Identity { uid: None, gid: group.and_then(changed), groups: None });
    };
    let group = group.unwrap_or(user.gid.as_raw());
    let name =
        CString::new(user.name.as_str()).map_err(|_| format!("{:?} isn't a valid user name", user.name))?;
    let groups = nix::unistd::getgrouplist(&name, Gid::from_raw(group))
        .map_err(|error| format!("cannot list the groups of user '{}': {}", user.name, error.desc()))?;
    let groups = groups.into_iter().map(Gid::as_raw).collect();
    Ok(Identity { uid: Some(user.uid.as_raw()), gid: changed(group), groups: Some(groups) })
}

/// What is looked up. Digits are a number, as in Circus, whether a file or `set` wrote them.
enum Named<'a> {
    Number(u32),
    Name(&'a str),
}

fn named(account: &Account) -> Named<'_> {
    match account {
        Account::Id(number) => Named::Number(*number),
        Account::Name(text) => text.parse().map_or(Named::Name(text), Named::Number),
    }
}

fn user(account: &Account) -> Result<User, String> {
    let (found, text, kind) = match named(account) {
        Named::Number(uid) => (User::from_uid(Uid::from_raw(uid)), uid.to_string(), "id"),
        Named::Name(name) => (User::from_name(name), format!("'{name}'"), "name"),
    };
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(format!("{text} isn't a valid user {kind}")),
        Err(error) => Err(format!("cannot look up user {text}: {}", error.desc())),
    }
}

fn group(account: &Account) -> Result<u32, String> {
    let (found, text, kind) = match named(account) {
        Named::Number(gid) => (Group::from_gid(Gid::from_raw(gid)), gid.to_string(), "id"),
        Named::Name(name) => (Group::from_name(name), format!("'{name}'"), "name"),
    };
    match found {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(format!("{text} isn't a valid group {kind}")),
        Err(error) => Err(format!("cannot look up group {text}: {}", error.desc())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Account {
        Account::Name(text.to_owned())
    }

    #[test]
    fn a_user_without_group_gets_its_primary_group_and_its_groups() {
        let nobody = Identities::default().find(Some(&name("nobody")), None).expect("every system has it");
        assert_eq!(nobody.uid, Some(65534));
        assert_eq!(nobody.groups, nobody.gid.map(|gid| vec![gid]));
    }

    #[test]
    fn root_means_not_set() {
        let identity = Identities::default().find(Some(&name("root")), Some(&Account::Id(0))).expect("known");
        assert_eq!(identity, Identity::default());
    }

    #[test]
    fn roots_group_may_be_asked_for() {
        let root = Account::Id(0);
        let identity = Identities::default().find(Some(&name("nobody")), Some(&root)).expect("known");
        assert_eq!((identity.uid, identity.gid), (Some(65534), None), "it stays the group of circusd");
        assert!(identity.groups.is_some_and(|groups| groups.contains(&0)));
    }

    #[test]
    fn a_group_alone_leaves_the_supplementary_groups() {
        let identity = Identities::default().find(None, Some(&Account::Id(65534))).expect("known");
        assert_eq!(identity, Identity { uid: None, gid: Some(65534), groups: None });
    }

    #[test]
    fn digits_are_a_number_also_as_text() {
        assert_eq!(resolve(Some(&name("65534")), Some(&name("0"))), Ok((Some(65534), Some(0))));
        let text = resolve(Some(&name("4000000000")), None).expect_err("unknown");
        assert_eq!(text, "4000000000 isn't a valid user id");
        let identity = Identities::default().find(Some(&name("0")), Some(&name("0"))).expect("root is known");
        assert_eq!(identity, Identity::default());
    }

    #[test]
    fn an_unknown_name_is_refused_readably() {
        let identities = Identities::default();
        let text = identities.find(Some(&name("no such user")), None).expect_err("unknown");
        assert_eq!(text, "'no such user' isn't a valid user name");
        assert_eq!(resolve(None, Some(&name("no\0pe"))).map_err(|text| text.contains("group")), Err(true));
    }
}
