/*
 * records.h: the kinds of records, and their fields, in one table: what a driver makes its tables
 * from. A kind `x` has the fields X_FIELDS in the order of its enum.
 */
#ifndef MONGREY_RECORDS_H
#define MONGREY_RECORDS_H

#include "include/storage.h"

enum kind {
    KIND_ENTRY, /* the rows of observe() */
    KIND_DOMAIN,
    KIND_MAILBOX,
    KIND_MYNETWORK,
    KIND_POLICY,
    KIND_WHITELIST,
    KIND_BLACKLIST,
    KIND_POOL,
    KIND_USER,
    KIND_METRIC,
    KIND_DECISION,
    KIND_AUDIT,
    KIND_IMPORTED, /* what an imported list held the last time: the third side of its merge */
    KIND_SECRET,   /* what all hosts of one store know, and nobody else */
    KINDS
};

/* One's own domains. `name` is an A-label domain in lower case. */
enum domain_field { DOMAIN_name, DOMAIN_comments, DOMAIN_source, DOMAIN_created, DOMAIN_FIELDS };

/* Recipients there are: an address, or `@domain` for all of a domain. */
enum mailbox_field {
    MAILBOX_name,
    MAILBOX_comments,
    MAILBOX_source,
    MAILBOX_created,
    MAILBOX_FIELDS
};

/* One's own networks. */
enum mynetwork_field {
    MYNETWORK_value,
    MYNETWORK_comments,
    MYNETWORK_source,
    MYNETWORK_created,
    MYNETWORK_FIELDS
};

/* Entries of the white and the black list. `slug` is "field_name:value", so that none is there
 * twice. How often an entry was met is a counter of the store (data/hits.h), since hits must not
 * move the revision. */
enum entry_field {
    ENTRY_slug,
    ENTRY_field_name,
    ENTRY_value,
    ENTRY_guard,   /* NULL, or the proof that it asks for */
    ENTRY_enforce, /* 0: only logged */
    ENTRY_expires, /* NULL: never */
    ENTRY_source,  /* NULL: entered by hand; else the list that it was imported from */
    ENTRY_created,
    ENTRY_comments,
    ENTRY_FIELDS
};

/* What applies to whom. The rules come last, a text each as a settings file has it; NULL: the next
 * policy's, at last the settings'. */
enum policy_field {
    POLICY_name,
    POLICY_field_name,
    POLICY_value,
    POLICY_priority, /* the lowest goes first */
    POLICY_enforce,
    POLICY_expires,
    POLICY_states, /* NULL: RCPT; else the protocol states it asks for checks at, comma-separated */
    POLICY_source,
    POLICY_created,
    POLICY_comments,
#define SETTING(...)
#define RULE(type, member, ...) POLICY_##member,
#include "core/policy/settings.def"
#undef SETTING
#undef RULE
    POLICY_FIELDS
};

#define POLICY_FIRST_RULE POLICY_whitelist_enable

/* Networks and domains that count as one sender, comma-separated. */
enum pool_field {
    POOL_name,
    POOL_networks,
    POOL_domains,
    POOL_source,
    POOL_created,
    POOL_comments,
    POOL_FIELDS
};

enum user_field {
    USER_username,
    USER_email,
    USER_password, /* as crypt(3) writes it */
    USER_api_key,  /* hashed */
    USER_role,     /* admin, operator, owner, reader */
    USER_domains,  /* of an owner, comma-separated */
    USER_active,
    USER_created,
    USER_FIELDS
};

/* One row each metrics_interval, over the entries first seen in the last day. */
enum metric_field {
    METRIC_timestamp,
    METRIC_count,
    METRIC_accepted,
    METRIC_rejected,
    METRIC_requests,
    METRIC_abandoned,
    METRIC_delay, /* seconds that those who passed had waited, on average */
    METRIC_FIELDS
};

/* The ring of decisions; a record's id is the decision's. */
enum decision_field {
    DECISION_at,
    DECISION_host,
    DECISION_action, /* pass, greylist, reject, error */
    DECISION_reason,
    DECISION_reply,
    DECISION_would, /* what an entry or policy that is not enforced would have answered */
    DECISION_policy,
    DECISION_delay, /* seconds */
    DECISION_client_address,
    DECISION_client_name,
    DECISION_helo_name,
    DECISION_sender,
    DECISION_recipient,
    DECISION_country,
    DECISION_instance,
    DECISION_checks, /* what each check looked at and found, a line each */
    DECISION_FIELDS
};

enum audit_field {
    AUDIT_at,
    AUDIT_who,
    AUDIT_action, /* create, update, delete, import */
    AUDIT_kind,
    AUDIT_record,
    AUDIT_before,
    AUDIT_after,
    AUDIT_FIELDS
};

enum imported_field {
    IMPORTED_slug, /* "source kind slug-of-the-record" as a hash, in hex */
    IMPORTED_source,
    IMPORTED_kind,
    IMPORTED_record,  /* the slug, name or value of what was imported */
    IMPORTED_content, /* what it was then: the record as one line of text */
    IMPORTED_FIELDS
};

/* Never exported, and not copied to another store. */
enum secret_field { SECRET_name, SECRET_value /* hex */, SECRET_FIELDS };

extern const struct storage_kind record_kinds[KINDS];

#endif
