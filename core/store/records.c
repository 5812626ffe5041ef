/* records.c: see records.h. A new column is one line here and one there. */
#include "core/store/records.h"

#define COUNT(fields) (sizeof(fields) / sizeof((fields)[0]))

/* The rows of observe(): the driver keeps them in a table of its own. Only what rises with the rows is
 * indexed: an index of a text would cost each new key a page that is written at random
 * (docs/decisions/0014). */
static const struct storage_field entry_rows[] = {
    {"first_seen", STORAGE_TIME, STORAGE_INDEXED},
    {"last_seen", STORAGE_TIME, 0},
    {"expires", STORAGE_TIME,
     STORAGE_INDEXED}, /* every driver has that index: purge() goes by it */
    {"waited", STORAGE_INTEGER, 0},
    {"tries", STORAGE_INTEGER, 0},
    {"passes", STORAGE_INTEGER, 0},
    {"client_address", STORAGE_TEXT, 0},
    {"client_name", STORAGE_TEXT, 0},
    {"helo_name", STORAGE_TEXT, 0},
    {"sender", STORAGE_TEXT, 0},
    {"recipient", STORAGE_TEXT, 0},
    {"country", STORAGE_TEXT, 0},
    {"policy", STORAGE_TEXT, 0},
};

/* Between name and created, all kinds that people enter have the same. */
static const struct storage_field named_fields[] = {
    [DOMAIN_name] = {"name", STORAGE_TEXT, STORAGE_UNIQUE},
    [DOMAIN_comments] = {"comments", STORAGE_TEXT, 0},
    [DOMAIN_source] = {"source", STORAGE_TEXT, 0},
    [DOMAIN_created] = {"created", STORAGE_TIME, 0},
};

static const struct storage_field mynetwork_fields[] = {
    [MYNETWORK_value] = {"value", STORAGE_TEXT, STORAGE_UNIQUE},
    [MYNETWORK_comments] = {"comments", STORAGE_TEXT, 0},
    [MYNETWORK_source] = {"source", STORAGE_TEXT, 0},
    [MYNETWORK_created] = {"created", STORAGE_TIME, 0},
};

static const struct storage_field list_fields[] = {
    [ENTRY_slug] = {"slug", STORAGE_TEXT, STORAGE_UNIQUE},
    [ENTRY_field_name] = {"field_name", STORAGE_TEXT, 0},
    [ENTRY_value] = {"value", STORAGE_TEXT, STORAGE_INDEXED},
    [ENTRY_guard] = {"guard", STORAGE_TEXT, 0},
    [ENTRY_enforce] = {"enforce", STORAGE_INTEGER, 0},
    [ENTRY_expires] = {"expires", STORAGE_TIME, 0},
    [ENTRY_source] = {"source", STORAGE_TEXT, 0},
    [ENTRY_created] = {"created", STORAGE_TIME, 0},
    [ENTRY_comments] = {"comments", STORAGE_TEXT, 0},
};

static const struct storage_field policy_fields[] = {
    [POLICY_name] = {"name", STORAGE_TEXT, STORAGE_UNIQUE},
    [POLICY_field_name] = {"field_name", STORAGE_TEXT, 0},
    [POLICY_value] = {"value", STORAGE_TEXT, STORAGE_INDEXED},
    [POLICY_priority] = {"priority", STORAGE_INTEGER, 0},
    [POLICY_enforce] = {"enforce", STORAGE_INTEGER, 0},
    [POLICY_expires] = {"expires", STORAGE_TIME, 0},
    [POLICY_states] = {"states", STORAGE_TEXT, 0},
    [POLICY_source] = {"source", STORAGE_TEXT, 0},
    [POLICY_created] = {"created", STORAGE_TIME, 0},
    [POLICY_comments] = {"comments", STORAGE_TEXT, 0},
#define SETTING(...)
#define RULE(type, member, group, key, ...) [POLICY_##member] = {key, STORAGE_TEXT, 0},
#include "core/policy/settings.def"
#undef SETTING
#undef RULE
};

static const struct storage_field pool_fields[] = {
    [POOL_name] = {"name", STORAGE_TEXT, STORAGE_UNIQUE},
    [POOL_networks] = {"networks", STORAGE_TEXT, 0},
    [POOL_domains] = {"domains", STORAGE_TEXT, 0},
    [POOL_source] = {"source", STORAGE_TEXT, 0},
    [POOL_created] = {"created", STORAGE_TIME, 0},
    [POOL_comments] = {"comments", STORAGE_TEXT, 0},
};

static const struct storage_field user_fields[] = {
    [USER_username] = {"username", STORAGE_TEXT, STORAGE_UNIQUE},
    [USER_email] = {"email", STORAGE_TEXT, 0},
    [USER_password] = {"password", STORAGE_TEXT, 0},
    [USER_api_key] = {"api_key", STORAGE_TEXT, STORAGE_UNIQUE},
    [USER_role] = {"role", STORAGE_TEXT, 0},
    [USER_domains] = {"domains", STORAGE_TEXT, 0},
    [USER_active] = {"active", STORAGE_INTEGER, 0},
    [USER_created] = {"created", STORAGE_TIME, 0},
};

static const struct storage_field metric_fields[] = {
    [METRIC_timestamp] = {"timestamp", STORAGE_TIME, STORAGE_INDEXED},
    [METRIC_count] = {"count", STORAGE_INTEGER, 0},
    [METRIC_accepted] = {"accepted", STORAGE_INTEGER, 0},
    [METRIC_rejected] = {"rejected", STORAGE_INTEGER, 0},
    [METRIC_requests] = {"requests", STORAGE_INTEGER, 0},
    [METRIC_abandoned] = {"abandoned", STORAGE_INTEGER, 0},
    [METRIC_delay] = {"delay", STORAGE_REAL, 0},
};

static const struct storage_field decision_fields[] = {
    [DECISION_at] = {"at", STORAGE_TIME, STORAGE_INDEXED},
    [DECISION_host] = {"host", STORAGE_TEXT, 0},
    [DECISION_action] = {"action", STORAGE_TEXT, 0},
    [DECISION_reason] = {"reason", STORAGE_TEXT, 0},
    [DECISION_reply] = {"reply", STORAGE_TEXT, 0},
    [DECISION_would] = {"would", STORAGE_TEXT, 0},
    [DECISION_policy] = {"policy", STORAGE_TEXT, 0},
    [DECISION_delay] = {"delay", STORAGE_INTEGER, 0},
    [DECISION_client_address] = {"client_address", STORAGE_TEXT, 0},
    [DECISION_client_name] = {"client_name", STORAGE_TEXT, 0},
    [DECISION_helo_name] = {"helo_name", STORAGE_TEXT, 0},
    [DECISION_sender] = {"sender", STORAGE_TEXT, 0},
    [DECISION_recipient] = {"recipient", STORAGE_TEXT, 0},
    [DECISION_country] = {"country", STORAGE_TEXT, 0},
    [DECISION_instance] = {"instance", STORAGE_TEXT, 0},
    [DECISION_checks] = {"checks", STORAGE_TEXT, 0},
};

static const struct storage_field audit_fields[] = {
    [AUDIT_at] = {"at", STORAGE_TIME, STORAGE_INDEXED},
    [AUDIT_who] = {"who", STORAGE_TEXT, 0},
    [AUDIT_action] = {"action", STORAGE_TEXT, 0},
    [AUDIT_kind] = {"kind", STORAGE_TEXT, 0},
    [AUDIT_record] = {"record", STORAGE_TEXT, 0},
    [AUDIT_before] = {"before", STORAGE_TEXT, 0},
    [AUDIT_after] = {"after", STORAGE_TEXT, 0},
};

static const struct storage_field imported_fields[] = {
    [IMPORTED_slug] = {"slug", STORAGE_TEXT, STORAGE_UNIQUE},
    [IMPORTED_source] = {"source", STORAGE_TEXT, STORAGE_INDEXED},
    [IMPORTED_kind] = {"kind", STORAGE_TEXT, 0},
    [IMPORTED_record] = {"record", STORAGE_TEXT, 0},
    [IMPORTED_content] = {"content", STORAGE_TEXT, 0},
};

static const struct storage_field secret_fields[] = {
    [SECRET_name] = {"name", STORAGE_TEXT, STORAGE_UNIQUE},
    [SECRET_value] = {"value", STORAGE_TEXT, 0},
};

_Static_assert(COUNT(policy_fields) <= STORAGE_FIELDS_MAX, "a policy has too many rules");

/* What does not change a decision does not move the revision. */
const struct storage_kind record_kinds[KINDS] = {
    [KIND_ENTRY] = {"greylist_entry", STORAGE_ENTRIES, entry_rows, COUNT(entry_rows)},
    [KIND_DOMAIN] = {"domain", 0, named_fields, COUNT(named_fields)},
    [KIND_MAILBOX] = {"mailbox", 0, named_fields, COUNT(named_fields)},
    [KIND_MYNETWORK] = {"mynetwork", 0, mynetwork_fields, COUNT(mynetwork_fields)},
    [KIND_POLICY] = {"policy", 0, policy_fields, COUNT(policy_fields)},
    [KIND_WHITELIST] = {"whitelist", 0, list_fields, COUNT(list_fields)},
    [KIND_BLACKLIST] = {"blacklist", 0, list_fields, COUNT(list_fields)},
    [KIND_POOL] = {"pool", 0, pool_fields, COUNT(pool_fields)},
    [KIND_USER] = {"user", STORAGE_QUIET, user_fields, COUNT(user_fields)},
    [KIND_METRIC] = {"greylist_metric", STORAGE_QUIET, metric_fields, COUNT(metric_fields)},
    [KIND_DECISION] = {"decision", STORAGE_QUIET, decision_fields, COUNT(decision_fields)},
    [KIND_AUDIT] = {"audit", STORAGE_QUIET, audit_fields, COUNT(audit_fields)},
    [KIND_IMPORTED] = {"imported", STORAGE_QUIET, imported_fields, COUNT(imported_fields)},
    [KIND_SECRET] = {"secret", STORAGE_QUIET, secret_fields, COUNT(secret_fields)},
};
