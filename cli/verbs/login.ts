/** `login` and `logout`. */
import { durationBetween, flag, numberBetween, parsed } from "../../command-line/options.ts";
import { EXIT_CODES, PluginFailure } from "../failure.ts";
import { makeFetch } from "../net/https.ts";
import { revoke } from "../oauth/refresh.ts";
import { obtain } from "../obtain.ts";
import { openStore } from "../store/store.ts";
import { findTarget, type Target, targetOptions } from "../target.ts";
import { defineVerb } from "../verb.ts";

const admin = flag("the administrators' application, in front of /-/admin");

export const login = defineVerb({
  name: "login",
  summary: "Signs in, also where a sign-in still counts",
  options: {
    ...targetOptions,
    admin,
    port: parsed(
      "PORT",
      "port of this machine that the browser comes back to, for ssh -L (default: any)",
      numberBetween(1, 65_535),
    ),
    timeout: parsed("TIME", "how long to wait for the sign-in", durationBetween("1s", "24h"), "5m"),
  },
  notes: [
    "Over SSH: open the printed address in your own browser. Its last page does not load; paste that page's address " +
      'into the terminal. Or connect with "ssh -L 8250:127.0.0.1:8250" and use --port 8250.',
    "SALLYPORT_BROWSER is a command that gets the address as its last argument; none only prints it.",
  ],
  run: async (values, surroundings) => {
    const target = await findTarget(values, surroundings, { isAdmin: values.admin });
    const application = requireApplication(target);
    const { resource } = await obtain({
      application,
      store: openStore(target.surroundings),
      surroundings: target.surroundings,
      certificateAuthority: target.certificateAuthority,
      mayReadStdin: true,
      isForced: true,
      port: values.port,
      timeoutMs: values.timeout,
    });
    surroundings.print(`Signed in to ${resource}.`);
    return EXIT_CODES.done;
  },
});

export const logout = defineVerb({
  name: "logout",
  summary: "Revokes the sign-in, and removes it from this machine",
  options: { ...targetOptions, admin, all: flag("every sign-in that is stored here") },
  run: async (values, surroundings) => {
    if (values.all) {
      const others = ["context", "kubeconfig", "server", "certificate-authority"] as const;
      const other = values.admin ? "admin" : others.find((name) => values[name] !== undefined);
      if (other !== undefined) {
        throw new PluginFailure("usage", `--all ends every sign-in, and --${other} names one: give one of them`);
      }
      const store = openStore(surroundings);
      const results = await Promise.all(
        (await store.list()).map(({ application }) => end(application, store, surroundings)),
      );
      if (results.length === 0) surroundings.print("Nobody was signed in.");
      return results.includes(false) ? EXIT_CODES.failed : EXIT_CODES.done;
    }
    const target = await findTarget(values, surroundings, { isAdmin: values.admin });
    const application = requireApplication(target);
    return (await end(application.id, openStore(target.surroundings), surroundings))
      ? EXIT_CODES.done
      : EXIT_CODES.failed;
  },
});

/** Removes a sign-in even where it cannot be revoked: nothing on this machine may use it any more. */
async function end(
  id: string,
  store: ReturnType<typeof openStore>,
  { print, note }: Target["surroundings"],
): Promise<boolean> {
  const { record, failure } = await store.exclusively(
    id,
    { timeoutMs: 30_000, onWait: () => note("Waiting for another kubectl-sallyport …") },
    async () => {
      const current = await store.read(id);
      const why = current && (await revoke(current, current.tokens, makeFetch(current.certificateAuthority)));
      await store.remove(id);
      return { record: current, failure: why };
    },
  );
  if (!record) print(`Nobody was signed in to ${id}.`);
  else if (failure === undefined) print(`Signed out of ${id}.`);
  else note(`Signed out of ${id} on this machine, but the sign-in was not revoked: ${failure}. It ends by itself.`);
  return failure === undefined;
}

function requireApplication({ application, origin }: Target) {
  if (application) return application;
  throw new PluginFailure("insecure_server", `${origin} needs no sign-in: it is plain HTTP on this machine`);
}
