//! Tokens over a real storage.

use std::net::IpAddr;

use lessor_model::token::TokenParameters;
use lessor_seal::keyring::{Keyring, RootKey};
use lessor_store::{LoginOrigin, Storage};

use super::*;

struct House {
    _home: tempfile::TempDir,
    tokens: Tokens,
    clock: Clock,
    root: Token,
}

impl House {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let storage = Storage::open(&home.path().join("lessor.db")).unwrap();
        let root_key = RootKey::generate_in(&home.path().join("root.key")).unwrap();
        let (keyring, keys) = Keyring::create(&root_key).unwrap();
        let clock = Clock::system();
        let value = new_token().unwrap();
        let row = root_row(&keyring, &value, clock.now()).unwrap();
        storage.initialise(keys, row, false).await.unwrap();
        let context = Context {
            storage,
            keyring,
            clock: clock.clone(),
        };
        let tokens = Tokens::new(context, TokenRules::default());
        let root = tokens.find(&value).await.unwrap().unwrap();
        Self {
            _home: home,
            tokens,
            clock,
            root,
        }
    }

    async fn make(&self, maker: &Token, asked: NewToken) -> Granted {
        self.tokens
            .create(
                maker,
                Permits { sudo: true },
                "auth/token/create",
                None,
                asked,
            )
            .await
            .unwrap()
    }

    async fn holds(&self, granted: &Granted) -> bool {
        self.tokens.find(&granted.token).await.unwrap().is_some()
    }
}

fn named(policy: &str) -> NewToken {
    NewToken {
        policies: vec![policy.to_owned()],
        ..NewToken::default()
    }
}

#[tokio::test]
async fn a_token_takes_all_below_it_along_and_orphans_stay() {
    let house = House::new().await;
    let parent = house.make(&house.root, named("app")).await;
    let child = house.make(&parent.known, named("app")).await;
    let grandchild = house.make(&child.known, named("app")).await;
    let batch = NewToken {
        kind: Some(TokenKind::Batch),
        ..named("app")
    };
    let batch = house.make(&child.known, batch).await;
    let orphan = NewToken {
        no_parent: true,
        ..named("app")
    };
    let orphan = house.make(&child.known, orphan).await;
    for token in [&parent, &child, &grandchild, &batch, &orphan] {
        assert!(house.holds(token).await);
    }
    house.tokens.revoke(&parent.known).await.unwrap();
    for token in [&parent, &child, &grandchild, &batch] {
        assert!(!house.holds(token).await, "{token:?}");
    }
    assert!(house.holds(&orphan).await);
    // Made by one who was revoked meanwhile: nothing would ever end it.
    let late = house
        .tokens
        .create(
            &child.known,
            Permits { sudo: true },
            "auth/token/create",
            None,
            named("app"),
        )
        .await;
    assert!(matches!(late, Err(Refusal::Conflict(_))), "{late:?}");
}

#[tokio::test]
async fn a_token_that_is_revoked_alone_leaves_its_children_as_orphans() {
    let house = House::new().await;
    let parent = house.make(&house.root, named("app")).await;
    let child = house.make(&parent.known, named("app")).await;
    house.tokens.revoke_alone(&parent.known).await.unwrap();
    assert!(!house.holds(&parent).await);
    let child = house.tokens.find(&child.token).await.unwrap().unwrap();
    assert!(child.is_orphan());
}

#[tokio::test]
async fn a_token_ends_at_its_time_and_what_it_made_with_it() {
    let house = House::new().await;
    let short = NewToken {
        ttl: Some(Duration::from_secs(60)),
        ..named("app")
    };
    let parent = house.make(&house.root, short).await;
    let child = house.make(&parent.known, named("app")).await;
    house.clock.advance(Duration::from_secs(59));
    assert!(house.holds(&parent).await);
    let end = parent.known.row.expires_at.unwrap();
    let now = house.clock.now();
    assert_eq!(house.tokens.end_due(now).await.unwrap(), Some(end));
    house.clock.advance(Duration::from_secs(1));
    assert!(!house.holds(&parent).await);
    house.tokens.end_due(house.clock.now()).await.unwrap();
    assert!(!house.holds(&child).await);
}

#[tokio::test]
async fn the_last_use_is_taken_once() {
    let house = House::new().await;
    let twice = NewToken {
        num_uses: 2,
        ..named("app")
    };
    let granted = house.make(&house.root, twice).await;
    let find = || async { house.tokens.find(&granted.token).await.unwrap().unwrap() };
    let mut one = find().await;
    assert!(house.tokens.take_use(&mut one).await.unwrap());
    let (mut one, mut other) = (find().await, find().await);
    let (one, other) = tokio::join!(
        house.tokens.take_use(&mut one),
        house.tokens.take_use(&mut other)
    );
    assert_ne!(one.unwrap(), other.unwrap(), "one of two got the last use");
    assert!(!house.holds(&granted).await);
}

#[tokio::test]
async fn a_renewal_moves_the_end_and_not_beyond_the_longest_life() {
    let house = House::new().await;
    let asked = NewToken {
        ttl: Some(Duration::from_secs(60)),
        explicit_max_ttl: Duration::from_secs(100),
        ..named("app")
    };
    let granted = house.make(&house.root, asked).await;
    house.clock.advance(Duration::from_secs(50));
    let (renewed, warnings) = house
        .tokens
        .renew(&granted.known, None, None)
        .await
        .unwrap();
    assert_eq!(renewed.ttl(house.clock.now()), 50);
    assert_eq!(warnings.len(), 1);
    let found = house.tokens.find(&granted.token).await.unwrap().unwrap();
    assert_eq!(found.row.expires_at, renewed.row.expires_at);
    assert_eq!(found.row.facts.renewed_at, renewed.row.facts.renewed_at);
    let fixed = NewToken {
        renewable: Some(false),
        ..named("app")
    };
    let fixed = house.make(&house.root, fixed).await;
    for token in [&fixed.known, &house.root] {
        let refused = house.tokens.renew(token, None, None).await.unwrap_err();
        assert!(refused.to_string().contains("not renewable"), "{refused}");
    }
}

#[tokio::test]
async fn no_installation_takes_the_batch_tokens_of_another() {
    let (house, other) = (House::new().await, House::new().await);
    let batch = NewToken {
        kind: Some(TokenKind::Batch),
        no_parent: true,
        ..named("app")
    };
    let granted = house.make(&house.root, batch).await;
    assert!(house.holds(&granted).await);
    assert!(!other.holds(&granted).await);
    let text = granted.token.expose();
    for changed in [
        text.replacen("lsb.", "lsr.", 1),
        text[..text.len() - 2].to_owned(),
        format!("{text}AA"),
        "lsb.".to_owned(),
    ] {
        let found = house.tokens.find(&Secret::new(changed)).await.unwrap();
        assert!(found.is_none());
    }
    let long = NewToken {
        kind: Some(TokenKind::Batch),
        policies: (0..400).map(|n| format!("policy-number-{n}")).collect(),
        ..NewToken::default()
    };
    let refused = house
        .tokens
        .create(
            &house.root,
            Permits { sudo: true },
            "auth/token/create",
            None,
            long,
        )
        .await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn a_login_gives_what_its_role_says_and_ends_with_its_method() {
    let house = House::new().await;
    let login = |parameters: &'static TokenParameters, peer: [u8; 4]| Login {
        path: "auth/approle/login".into(),
        terms: Terms {
            default_ttl: Duration::from_secs(100),
            max_ttl: Duration::from_secs(1000),
            parameters,
        },
        origin: LoginOrigin::default(),
        entity: "entity".into(),
        display_name: "approle".into(),
        metadata: [("role_name".to_owned(), "app".to_owned())].into(),
        peer: IpAddr::from(peer),
    };
    let parameters: &TokenParameters = Box::leak(Box::new(TokenParameters {
        max_ttl: Duration::from_secs(50),
        policies: vec!["app".into()],
        bound_cidrs: vec!["10.0.0.0/8".parse().unwrap()],
        ..TokenParameters::default()
    }));
    let refused = house.tokens.log_in(login(parameters, [127, 0, 0, 1])).await;
    assert!(matches!(refused, Err(Refusal::Denied)), "{refused:?}");
    let granted = house
        .tokens
        .log_in(login(parameters, [10, 0, 0, 1]))
        .await
        .unwrap();
    assert_eq!(granted.ttl, Duration::from_secs(50));
    assert_eq!(granted.known.row.policies, ["app", "default"]);
    assert!(granted.known.is_orphan());
    house
        .tokens
        .revoke_made_below("auth/approle/")
        .await
        .unwrap();
    assert!(!house.holds(&granted).await);
    let root: &TokenParameters = Box::leak(Box::new(TokenParameters {
        policies: vec!["root".into()],
        ..TokenParameters::default()
    }));
    let refused = house.tokens.log_in(login(root, [10, 0, 0, 1])).await;
    assert!(matches!(refused, Err(Refusal::Invalid(_))), "{refused:?}");
}

#[tokio::test]
async fn a_token_stands_for_whom_its_maker_stands_for_unless_that_is_root() {
    let house = House::new().await;
    let entity = |token: &Token| entity_of(&token.row.facts.entity, &token.row.accessor);
    let asked = || NewToken {
        policies: vec!["app".into()],
        ..NewToken::default()
    };
    let (one, other) = (
        house.make(&house.root, asked()).await.known,
        house.make(&house.root, asked()).await.known,
    );
    assert_ne!(entity(&one), entity(&other));
    assert_ne!(entity(&one), entity(&house.root));
    let child = house.make(&one, asked()).await.known;
    let grandchild = house.make(&child, asked()).await.known;
    assert_eq!(entity(&child), entity(&one));
    assert_eq!(entity(&grandchild), entity(&one));

    let mut person = one;
    person.row.facts.entity = "person".into();
    let child = house.make(&person, asked()).await.known;
    assert_eq!(entity(&child), "person");
}
