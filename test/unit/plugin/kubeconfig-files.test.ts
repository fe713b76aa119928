/** Kubeconfigs as people have them: several, behind links, of another owner, mounted by themselves. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { changeKubeconfigs } from "../../../cli/kubeconfig/write.ts";
import type { WrittenContext } from "../../../cli/kubeconfig/written-context.ts";
import { surroundingsOf } from "./support.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-kubeconfig-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const PROD: WrittenContext = {
  name: "sallyport-prod",
  server: "https://prod.example.com",
  exec: { command: "kubectl-sallyport", args: ["credential"] },
};
const STAGE: WrittenContext = { ...PROD, name: "sallyport-stage", server: "https://stage.example.com" };
const WORK = `current-context: work
clusters: [{name: work, cluster: {server: "https://work.example.com"}}]
contexts: [{name: work, context: {cluster: work, user: me}}]
`;

const at = (name: string) => join(folder, name);
const read = (name: string) => parse(readFileSync(at(name), "utf8"));
const put = (name: string, content: unknown) =>
  writeFileSync(at(name), typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });

const own = ({ name, server }: WrittenContext, user: unknown = {}) => ({
  clusters: [{ name, cluster: { server } }],
  contexts: [{ name, context: { cluster: name, user: name } }],
  users: [{ name, user }],
});

/** Writes contexts with KUBECONFIG as given. @returns the names of the files that were changed */
async function write(
  names: readonly string[],
  contexts: readonly WrittenContext[] = [PROD],
  options: { readonly isReplacing?: boolean; readonly current?: string } = {},
): Promise<string[]> {
  const surroundings = surroundingsOf({ env: { KUBECONFIG: names.map(at).join(delimiter) } });
  const changes = await changeKubeconfigs(surroundings, undefined, contexts, { isReplacing: false, ...options });
  return changes.map(({ path }) => path.slice(folder.length + 1));
}

describe("of several kubeconfigs", () => {
  it("the first that exists gets new contexts, or the last if there is none", async () => {
    expect(await write(["a", "b"])).toEqual(["b"]);
    rmSync(at("b"));
    put("b", WORK);
    expect(await write(["a", "b", "c"])).toEqual(["b"]);
    expect(readdirSync(folder)).toEqual(["b"]);
  });

  it("each keeps the contexts that it has, with their variables", async () => {
    const env = [{ name: "SALLYPORT_PROFILE", value: "on-call" }];
    const exec = { command: "kubectl-sallyport", args: ["credential"], env };
    put("a", WORK);
    put("b", own(PROD, { exec }));
    expect(await write(["a", "b"], [PROD, STAGE])).toEqual(["b", "a"]);
    expect(read("a").contexts.map(({ name }: { name: string }) => name)).toEqual(["work", "sallyport-stage"]);
    expect(read("b").users).toMatchObject([{ name: "sallyport-prod", user: { exec: { env } } }]);
  });

  it("the current context stays what it is, also in a file that is not changed", async () => {
    put("a", "apiVersion: v1\nkind: Config\n");
    put("b", WORK);
    await write(["a", "b"]);
    expect(read("a")["current-context"]).toBeUndefined();
  });

  it("the current context is set where kubectl would set it", async () => {
    put("a", "apiVersion: v1\nkind: Config\n");
    put("b", WORK);
    expect(await write(["a", "b"], [PROD], { current: PROD.name })).toEqual(["a", "b"]);
    expect([read("a")["current-context"], read("b")["current-context"]]).toEqual([undefined, PROD.name]);
  });

  it("the first context becomes the current one where there is none", async () => {
    put("a", "apiVersion: v1\nkind: Config\n");
    await write(["a", "b"]);
    expect(read("a")["current-context"]).toBe(PROD.name);
  });

  it("none is changed where a name is somebody else's in any", async () => {
    put("a", WORK);
    put("b", own({ ...PROD, server: "https://other.example.com" }));
    await expect(write(["a", "b"], [STAGE, PROD])).rejects.toThrow("https://other.example.com");
    expect(readFileSync(at("a"), "utf8")).toBe(WORK);
    expect(await write(["a", "b"], [PROD], { isReplacing: true })).toEqual(["b"]);
  });

  it("a name is somebody else's also where its context and its cluster are in two", async () => {
    put("a", { contexts: [{ name: PROD.name, context: { cluster: "mine", user: "me" } }] });
    put("b", { clusters: [{ name: "mine", cluster: { server: "https://mine.example.com" } }] });
    await expect(write(["a", "b"])).rejects.toThrow("https://mine.example.com");
  });
});

describe("a kubeconfig", () => {
  it("behind a link is changed where it is", async () => {
    mkdirSync(at("dotfiles"));
    put("dotfiles/config", WORK);
    symlinkSync("dotfiles/config", at("config"));
    await write(["config"]);
    expect(lstatSync(at("config")).isSymbolicLink()).toBe(true);
    expect(read("dotfiles/config").contexts).toHaveLength(2);
  });

  it("behind a link that leads to nothing yet is made there", async () => {
    mkdirSync(at("dotfiles"));
    symlinkSync(at("dotfiles"), at("kube"));
    symlinkSync("../dotfiles/other", at("dotfiles/config"));
    await write(["kube/config"]);
    expect(lstatSync(at("dotfiles/config")).isSymbolicLink()).toBe(true);
    expect(read("dotfiles/other").contexts).toHaveLength(1);
    expect(statSync(at("dotfiles/other")).mode & 0o777).toBe(0o600);
  });

  it("behind a link into a folder that is not there is not made, and the link stays", async () => {
    symlinkSync(at("not-mounted/config"), at("config"));
    await expect(write(["config"])).rejects.toThrow("(ENOENT)");
    expect(readdirSync(folder)).toEqual(["config"]);
    symlinkSync("loop", at("loop"));
    await expect(write(["loop"])).rejects.toThrow("ELOOP");
  });

  it("keeps its mode, and its other names", async () => {
    put("config", WORK);
    chmodSync(at("config"), 0o640);
    await write(["config"]);
    expect(statSync(at("config")).mode & 0o777).toBe(0o640);
    linkSync(at("config"), at("other-name"));
    await write(["config"], [STAGE]);
    expect(read("other-name").contexts).toHaveLength(3);
  });

  const isRoot = process.getuid?.() === 0;
  if (!isRoot) console.info("SKIP a kubeconfig of another owner, and one that is mounted: this is not root");

  it.skipIf(!isRoot)("keeps its owner, also where root changes it", async () => {
    put("config", WORK);
    chownSync(at("config"), 12_345, 12_346);
    await write(["config"]);
    expect(statSync(at("config"))).toMatchObject({ uid: 12_345, gid: 12_346 });
    expect(statSync(at("config")).mode & 0o777).toBe(0o600);
  });

  /** As somebody who may write the file, but may not give one away. */
  it.skipIf(!isRoot)("keeps its owner where only root could give it back", () => {
    put("config", WORK);
    chmodSync(at("config"), 0o666);
    chmodSync(folder, 0o777);
    const ran = replaceBy(process.execPath, "process.setgid(12346); process.setuid(12345);");
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    expect([readFileSync(at("config"), "utf8"), statSync(at("config")).uid]).toEqual(["new", 0]);
    expect(readdirSync(folder)).toEqual(["config"]);
  });

  const mounts = spawnSync("unshare", ["--mount", "true"]).status === 0;
  if (isRoot && !mounts) console.info("SKIP a kubeconfig that is mounted: unshare is not allowed here");
  it.skipIf(!mounts)("is changed in its place where it is mounted by itself, as into a container", () => {
    put("config", "");
    put("outside", "old");
    const inContainer = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
    const ran = replaceBy("unshare", "", "--mount", "sh", "-c", inContainer, "sh", at("outside"), at("config"));
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    expect([readFileSync(at("outside"), "utf8"), readdirSync(folder)]).toEqual(["new", ["config", "outside"]]);
  });
});

/** Replaces the file `config` by another process. @param before JavaScript that it runs first */
function replaceBy(program: string, before: string, ...args: string[]) {
  const module = join(import.meta.dirname, "../../../cli/kubeconfig/replace-file.ts");
  const script = `${before}
    const { replaceFile } = await import(${JSON.stringify(module)});
    replaceFile(${JSON.stringify(at("config"))}, "new");`;
  const node = ["--input-type=module", "-e", script];
  return spawnSync(program, args.length === 0 ? node : [...args, process.execPath, ...node], { encoding: "utf8" });
}
