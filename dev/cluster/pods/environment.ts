import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, Pod } from "../api/objects.ts";

// The usual PATH of images. The PATH of the user who started the cluster is not passed to containers.
const CONTAINER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * @returns the folder in which a pod's processes start: their home, and the only part of the file system they
 *   own
 */
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

/** @returns the whole environment of a container's processes; nothing is inherited from this process */
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
