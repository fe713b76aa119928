/** What the local stack prints when it is ready. */
import { isAbsolute, relative } from "node:path";
import { commandLine } from "../../common/shell.ts";
import { PERSONA_NAMES, type PersonaName } from "../access/personas.ts";
import type { Stack } from "./stack.ts";

/** Who may use the console, and what they see there. mallory, whom no rule knows, may not. */
const CONSOLE_USERS: readonly (readonly [PersonaName, string])[] = [
  ["admin", "what everybody does, and may end sessions and lock people"],
  ["alice", "what she does herself, and the access that she may ask for"],
  ["bob", "what he does himself, and what he may approve"],
];

/** @returns what is running, and which commands to try */
export function readyMessage(stack: Stack, cwd: string): string {
  const { personas } = stack;
  const path = (file: string) => shellPath(file, cwd);
  const kubectl = `kubectl --kubeconfig ${path(stack.kubeconfig)} --context`;
  const shell = stack.embedded ? "shell" : "POD";
  const port = stack.embedded ? "pod/echo 8080:8080" : "pod/POD 8080:80";
  return `
Sallyport's local stack is ready. Ctrl-C ends it.

${cautions(stack).join("\n")}

${PERSONA_NAMES.map((name) => `  ${name.padEnd(8)} ${personas[name].email.padEnd(20)} ${personas[name].url}   ${personas[name].tlsUrl}`).join("\n")}
  ${"sign in".padEnd(8)} ${"as with Managed OAuth".padEnd(20)} ${" ".repeat(personas.alice.url.length)}  ${stack.front.url}

The console, in a browser:

${CONSOLE_USERS.map(([name, sees]) => `  ${personas[name].url}/-/console/   ${name}: ${sees}`).join("\n")}

Try in another terminal:

  ${kubectl} alice get pods
  ${kubectl} alice exec -it ${shell} -- sh
  ${kubectl} alice port-forward ${port}
  ${kubectl} bob exec ${shell} -- true      # the cluster refuses bob
  ${kubectl} mallory get pods            # Sallyport refuses mallory

Or sign in first, as people without WARP do. The plugin opens a page of the fake of Access, or prints its
address. Your browser does not know the authority of its certificate: ${path(stack.front.ca)}

  kubectl --kubeconfig ${path(stack.kubeconfigPlugin)} exec -it ${shell} -- sh

List the sessions, end one, read the audit log:

  curl -s '${personas.admin.url}/-/admin/sessions?state=live'
  curl -s -X DELETE '${personas.admin.url}/-/admin/sessions/ID?reason=lunch'
  sqlite3 -readonly ${path(stack.d1Path)} .tables
  curl -s -X POST ${stack.cronUrl} && curl -s '${personas.admin.url}/-/admin/export'

Cluster:    ${stack.upstreamUrl}${stack.embedded ? " (embedded)" : ""}
Over HTTPS: ${path(stack.kubeconfigTls)}
Addresses:  ${path(stack.endpoints)}
Log:        ${path(stack.logPath)}
`;
}

/** What the user must not mistake this for. */
function cautions({ embedded }: Stack): string[] {
  const lines = [
    "This is a fake of Cloudflare Access, on loopback only. There is no sign-in: every process",
    "on this machine that uses one of these addresses IS that person. At the last one people sign in.",
  ];
  if (embedded) {
    lines.push(
      'The cluster is embedded: its "containers" are processes of yours, with your permissions',
      "and your files. They are not isolated from this machine.",
    );
  } else {
    lines.push("Behind it is a REAL cluster, and these people may do what the proxy's account allows.");
  }
  return lines;
}

/** A relative path where that is shorter, quoted where a shell needs it. */
function shellPath(path: string, cwd: string): string {
  const fromHere = relative(cwd, path);
  return commandLine([fromHere.startsWith("..") || isAbsolute(fromHere) ? path : fromHere]);
}
