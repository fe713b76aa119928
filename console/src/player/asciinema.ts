/** asciinema-player, with its engine in a Worker of the browser, so that the page stays usable. */
import { create } from "asciinema-player/ui.js";
import { trustedScript } from "./trusted-template.ts";

/** A player that was made. */
export interface Play {
  readonly seek: (seconds: number) => Promise<unknown>;
  readonly currentTime: () => Promise<number>;
  readonly dispose: () => void;
}

export interface PlayOptions {
  /** Seconds in the recording. */
  readonly startAt?: number;
  readonly speed?: number;
  /** The longest pause that is played, in seconds. */
  readonly idleTimeLimit?: number;
  /** What is shown before it plays, e.g. `npt:12.5` for that moment. */
  readonly poster?: string;
  readonly autoPlay?: boolean;
  readonly onEnded?: () => void;
}

const FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";

/** Plays a recording. @param cast an asciicast v2 */
export function playCast(cast: string, container: HTMLElement, options: PlayOptions): Promise<Play> {
  return start({ data: cast }, container, options);
}

/** Shows a live session. @param path of its watch */
export function playLive(path: string, container: HTMLElement, options: PlayOptions): Promise<Play> {
  const url = new URL(path, location.href);
  url.protocol = url.protocol === "http:" ? "ws:" : "wss:";
  return start({ driver: "websocket", url: url.href }, container, { ...options, autoPlay: true });
}

async function start(source: object, container: HTMLElement, { onEnded, ...options }: PlayOptions): Promise<Play> {
  // The player reads its colours from it, once.
  await loadStyle();
  const worker = trustedScript(metaContent("player-worker"));
  const fixed = { fit: "both", terminalFontFamily: FONT, theme: "auto/asciinema" } as const;
  const player = create(source, container, worker, { ...fixed, ...options });
  if (onEnded) player.addEventListener("ended", onEnded);
  return {
    seek: (seconds) => player.seek(seconds),
    currentTime: () => player.getCurrentTime(),
    dispose: () => player.dispose(),
  };
}

let style: Promise<void> | undefined;

/** Loads the player's style once, and again if that failed. */
function loadStyle(): Promise<void> {
  style ??= new Promise<void>((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = metaContent("player-style");
    link.onload = () => resolve();
    link.onerror = () => {
      style = undefined;
      link.remove();
      reject(new Error(`${link.href} was not loaded`));
    };
    document.head.append(link);
  });
  return style;
}

/** The name of a file that the build wrote into the document. */
function metaContent(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";
}
