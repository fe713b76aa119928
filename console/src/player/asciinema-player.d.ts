/** What the console uses of asciinema-player 3.18, which has no types of its user interface. */
declare module "asciinema-player/ui.js" {
  export interface UiPlayer {
    dispose(): void;
    getCurrentTime(): Promise<number>;
    seek(seconds: number): Promise<unknown>;
    addEventListener(name: "ended", handler: () => void): void;
  }

  /** @param worker address of dist/worker.js, bundled */
  export function create(
    source: object,
    container: HTMLElement,
    worker: string,
    options?: Readonly<Record<string, unknown>>,
  ): UiPlayer;
}
