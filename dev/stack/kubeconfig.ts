import { USER_WITHOUT_CREDENTIAL } from "../../common/kubeconfig-user.ts";
import { PERSONA_NAMES, type PersonaName } from "../access/personas.ts";
import type { LocalPlugin } from "./plugin.ts";

/** The namespace of the embedded cluster's pods. */
const NAMESPACE = "demo";

export interface KubeconfigInput {
  readonly servers: Readonly<Record<PersonaName, string>>;
  /** The personas' addresses for a second cluster. */
  readonly second?: Readonly<Record<PersonaName, string>> | undefined;
  /** PEM of the certificate authority of `https:` servers. */
  readonly certificateAuthority?: string;
}

/**
 * Renders a kubeconfig with one context per persona. It has no credentials: the address decides who the user
 * is.
 */
export function renderKubeconfig(input: KubeconfigInput): string {
  // The same user as of GET /-/kubeconfig?auth=warp, so that every client is tried with it.
  const user = JSON.stringify(USER_WITHOUT_CREDENTIAL);
  return render(input, "Using a context means being that person.", () => user);
}

export interface PluginKubeconfigInput {
  /** The address where people sign in, and the same for the second cluster. */
  readonly front: { readonly url: string; readonly secondUrl: string | undefined };
  readonly certificateAuthority: string;
  /** Path of the same, for clients that do not tell the plugin about the cluster. */
  readonly certificateAuthorityFile: string;
  readonly plugin: LocalPlugin;
}

/** Renders a kubeconfig with one context per persona, who signs in through the plugin. It has no secret. */
export function renderPluginKubeconfig(input: PluginKubeconfigInput): string {
  const { front, certificateAuthority, certificateAuthorityFile, plugin } = input;
  const { url, secondUrl } = front;
  const exec = (name: PersonaName) => ({
    apiVersion: "client.authentication.k8s.io/v1",
    command: plugin.command,
    // Named for clients that do not tell about the cluster, and since one sign-in counts for both clusters.
    args: ["credential", "--application", url, "--certificate-authority", certificateAuthorityFile],
    // Each context is one person, so their sign-ins are apart.
    env: [{ name: "SALLYPORT_PROFILE", value: name }],
    interactiveMode: "IfAvailable",
    provideClusterInfo: true,
  });
  const second = secondUrl === undefined ? undefined : everybodyAt(secondUrl);
  return render(
    { servers: everybodyAt(url), second, certificateAuthority },
    "Sign in as the person whose name the context has.",
    // YAML is a superset of JSON.
    (name) => JSON.stringify({ exec: exec(name) }),
  );
}

function everybodyAt(url: string): Record<PersonaName, string> {
  return Object.fromEntries(PERSONA_NAMES.map((name) => [name, url])) as Record<PersonaName, string>;
}

function render(
  { servers, second, certificateAuthority }: KubeconfigInput,
  purpose: string,
  userOf: (name: PersonaName) => string,
): string {
  const authority =
    certificateAuthority === undefined
      ? ""
      : `\n      certificate-authority-data: ${Buffer.from(certificateAuthority).toString("base64")}`;
  const each = (render: (name: string, person: PersonaName, server: string) => string) =>
    [
      ...PERSONA_NAMES.map((name) => render(name, name, servers[name])),
      ...(second ? PERSONA_NAMES.map((name) => render(`${name}-second`, name, second[name])) : []),
    ].join("\n");
  return `# Written by Sallyport's local stack at every start. ${purpose}
apiVersion: v1
kind: Config
current-context: alice
preferences: {}
clusters:
${each((name, _, server) => `  - name: sallyport-${name}\n    cluster:\n      server: ${server}${authority}`)}
users:
${PERSONA_NAMES.map((name) => `  - name: ${name}\n    user: ${userOf(name)}`).join("\n")}
contexts:
${each((name, person) => `  - name: ${name}\n    context: {cluster: sallyport-${name}, user: ${person}, namespace: ${NAMESPACE}}`)}
`;
}
