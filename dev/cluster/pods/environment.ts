import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod } from "../api/objects.ts";

// Where programs are in every usual image. The path of whoever started the cluster does not reach into its containers.
const CONTAINER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The folder in which a pod's processes start: their home, and all of the file system that is theirs. */
export class PodFolder {
  readonly path: string;

  constructor(stateDir: string, pod: Pod) {
    const { namespace = "", name, uid } = pod.metadata;
    this.path = join(stateDir, "pods", `${namespace}_${name}_${uid}`);
  }

  create(pod: Pod): void {
    for (const folder of ["tmp", "srv/www"]) mkdirSync(join(this.path, folder), { recursive: true, mode: 0o700 });
    // An interactive bash reads the machine's bashrc, which sets its own prompt, before this one.
    writeFileSync(join(this.path, ".bashrc"), `PS1='${prompt(pod)}'\n`);
    writeFileSync(join(this.path, "srv/www/index.html"), `hello from ${pod.spec.containers[0]?.image ?? ""}\n`);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The whole environment of a container's processes. Nothing is taken over from this process. */
export function containerEnvironment(
  pod: Pod,
  container: Container,
  folder: PodFolder,
  tty: boolean,
): Record<string, string> {
  const own = (container.env ?? []).map(({ name, value }) => [name, value ?? ""]);
  return {
    PATH: CONTAINER_PATH,
    HOME: folder.path,
    TMPDIR: join(folder.path, "tmp"),
    HOSTNAME: pod.metadata.name,
    PS1: prompt(pod),
    ...(tty ? { TERM: "xterm" } : {}),
    ...Object.fromEntries(own),
  };
}

const prompt = (pod: Pod): string => `${pod.metadata.name} # `;
