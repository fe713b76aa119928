/** Extras of the user in a cluster that Sallyport itself sends, for the cluster's audit log. */

/** Names the session of ours. */
export const SESSION_EXTRA = "sallyport-session";

/** Names the person who acts as another user. */
export const PERSON_EXTRA = "sallyport-user";

/** Names the grants that count: access for a while, which somebody approved. */
export const GRANT_EXTRA = "sallyport-grant";

export const RESERVED_EXTRAS: readonly string[] = [SESSION_EXTRA, PERSON_EXTRA, GRANT_EXTRA];
