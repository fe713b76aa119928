import { PERSONA_NAMES, type PersonaName } from "../access/personas.ts";

/** The namespace of the embedded cluster's pods. */
const NAMESPACE = "demo";

export interface KubeconfigInput {
  readonly servers: Readonly<Record<PersonaName, string>>;
  /** The personas' addresses before a second cluster. */
  readonly second?: Readonly<Record<PersonaName, string>> | undefined;
  /** PEM of the authority behind `https:` servers. */
  readonly certificateAuthority?: string;
}

/**
 * A kubeconfig with one context per persona. There is nothing to sign in with: the address is the person.
 */
export function renderKubeconfig({ servers, second, certificateAuthority }: KubeconfigInput): string {
  const authority =
    certificateAuthority === undefined
      ? ""
      : `\n      certificate-authority-data: ${Buffer.from(certificateAuthority).toString("base64")}`;
  // Over TLS kubectl asks for a user name when it has nothing to send. The Worker drops this.
  const user = certificateAuthority === undefined ? "{}" : "{token: not-used-by-the-local-stack}";
  const each = (render: (name: string, person: PersonaName, server: string) => string) =>
    [
      ...PERSONA_NAMES.map((name) => render(name, name, servers[name])),
      ...(second ? PERSONA_NAMES.map((name) => render(`${name}-second`, name, second[name])) : []),
    ].join("\n");
  return `# Written by Sallyport's local stack at every start. Whoever uses a context IS that person.
apiVersion: v1
kind: Config
current-context: alice
preferences: {}
clusters:
${each((name, _, server) => `  - name: sallyport-${name}\n    cluster:\n      server: ${server}${authority}`)}
users:
${PERSONA_NAMES.map((name) => `  - name: ${name}\n    user: ${user}`).join("\n")}
contexts:
${each((name, person) => `  - name: ${name}\n    context: {cluster: sallyport-${name}, user: ${person}, namespace: ${NAMESPACE}}`)}
`;
}
