/**
 * A kubeconfig's user who has no credential, because something between kubectl and the cluster signs them in.
 *
 * Not an empty object: over HTTPS kubectl then asks for a user name before each command, and fails where it
 * cannot ask (`canIdentifyUser` in client-go's clientcmd). A name alone is enough. kubectl sends it as HTTP
 * Basic without a password, which proves nothing to anybody; a bearer token could be taken for one of
 * Access's.
 */
export const USER_WITHOUT_CREDENTIAL = { username: "signed-in-by-warp" } as const;
