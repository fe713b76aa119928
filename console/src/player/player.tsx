/** A recording, or a live session: the player, how it plays, moments to jump to, a link to one. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ok } from "../../../common/result.ts";
import { useAddressState } from "../address.ts";
import { send } from "../api/client.ts";
import type { ApiFailure } from "../api/endpoints.ts";
import { fillIn } from "../api/fill-in.ts";
import { type Loaded, useLoaded } from "../api/use-call.ts";
import { announce } from "../ui/announce.tsx";
import { Failure, Show } from "../ui/loading.tsx";
import { visibleText } from "../ui/visible-text.ts";
import type { Play } from "./asciinema.ts";
import { type Moment, momentOf, type PreparedCast, playerTime, prepareCast, recordingTime } from "./cast.ts";

const SPEEDS = ["0.5", "1", "2", "4", "8"] as const;
/** The longest pause that is played, in seconds. */
const IDLE_LIMITS = ["1", "2", "5"] as const;

const PLAYER_FAILED: ApiFailure = {
  code: "unreadable",
  message: "The player cannot show this: download the recording, or reload the page.",
};

/** Plays a session's recording. The address has the moment, the speed, and which pauses are skipped. */
export function RecordingPlayer({ id }: { readonly id: string }): JSX.Element {
  const path = fillIn("/-/admin/sessions/{id}/recording", { id });
  const recording: Loaded<PreparedCast> = useLoaded(path, async (signal) => {
    const sent = await send(path, { signal });
    if (!sent.ok) return sent;
    return ok(prepareCast(await sent.value.text()));
  });
  return (
    <section aria-labelledby="recording">
      <h2 id="recording">Recording</h2>
      <Show loaded={recording}>{(cast) => <CastPlayer cast={cast} downloadPath={path} id={id} />}</Show>
    </section>
  );
}

interface CastPlayerProps {
  readonly cast: PreparedCast;
  readonly id: string;
  readonly downloadPath: string;
}

function CastPlayer({ cast, id, downloadPath }: CastPlayerProps): JSX.Element {
  const address = useAddressState();
  const speed = SPEEDS.find((value) => value === address.get("speed")) ?? "1";
  const idle = IDLE_LIMITS.find((value) => value === address.get("idle"));
  const idleLimit = idle === undefined ? undefined : Number(idle);
  // Of an event's link, a time; of a link to a moment, seconds in the recording.
  const eventAt = momentOf(address.get("at"), cast);
  const startAt = eventAt ?? readSeconds(address.get("t"));
  const player = useRef<Play>(undefined);
  const options = {
    ...(startAt !== undefined && { startAt, poster: `npt:${playerTime(cast.text, startAt, idleLimit)}` }),
    speed: Number(speed),
    ...(idleLimit !== undefined && { idleTimeLimit: idleLimit }),
  };
  const jump = async (at: number) => {
    await player.current?.seek(playerTime(cast.text, at, idleLimit));
    announce(`At ${formatSeconds(at)}.`);
  };
  useEffect(() => {
    if (eventAt !== undefined && player.current) void jump(eventAt);
  }, [eventAt]);
  const share = async () => {
    const shown = await player.current?.currentTime();
    const at = recordingTime(cast.text, shown ?? 0, idleLimit);
    address.set({ t: at.toFixed(1), at: "" }, true);
    const link = new URL(location.href);
    link.searchParams.set("t", at.toFixed(1));
    link.searchParams.delete("at");
    await navigator.clipboard?.writeText(link.href).then(
      () => announce(`Link to ${formatSeconds(at)} copied.`),
      () => announce(`The address is a link to ${formatSeconds(at)}.`),
    );
  };
  return (
    <>
      <PlayerBox
        // Another speed needs another player. It goes on where the address says.
        playerKey={`${id} ${speed} ${idle ?? ""}`}
        make={async (container) => {
          const { playCast } = await import("./asciinema.ts");
          return playCast(cast.text, container, options);
        }}
        player={player}
      />
      <div class="actions">
        <label>
          Speed
          <select value={speed} onChange={({ currentTarget }) => address.set({ speed: currentTarget.value }, true)}>
            {SPEEDS.map((value) => (
              <option key={value} value={value}>
                {value}×
              </option>
            ))}
          </select>
        </label>
        <label>
          Pauses
          <select value={idle ?? ""} onChange={({ currentTarget }) => address.set({ idle: currentTarget.value }, true)}>
            <option value="">as they were</option>
            {IDLE_LIMITS.map((value) => (
              <option key={value} value={value}>
                at most {value} s
              </option>
            ))}
          </select>
        </label>
        <button type="button" onClick={() => void share()}>
          Link to this moment
        </button>
        <a class="button" href={downloadPath} download={`${id}.cast`}>
          Download
        </a>
      </div>
      <Moments cast={cast} jump={(at) => void jump(at)} />
    </>
  );
}

function Moments({
  cast,
  jump,
}: {
  readonly cast: PreparedCast;
  readonly jump: (at: number) => void;
}): JSX.Element | null {
  const { moments, hasMore } = cast;
  if (moments.length === 0) return null;
  return (
    <details>
      <summary>
        {moments.length} {moments.length === 1 ? "moment" : "moments"} to jump to
      </summary>
      <ol class="moments">
        {moments.map((moment, index) => (
          <li key={index}>
            <MomentButton moment={moment} jump={jump} />
          </li>
        ))}
      </ol>
      {hasMore && <p class="hint">There are more: download the recording.</p>}
    </details>
  );
}

function MomentButton({ moment, jump }: { readonly moment: Moment; readonly jump: (at: number) => void }): JSX.Element {
  return (
    <button type="button" onClick={() => jump(moment.at)}>
      {formatSeconds(moment.at)} <bdi>{visibleText(moment.label)}</bdi>
    </button>
  );
}

/** Shows a live session as it goes on. @param onEnded once it has ended */
export function LivePlayer({ id, onEnded }: { readonly id: string; readonly onEnded: () => void }): JSX.Element {
  const player = useRef<Play>(undefined);
  const path = fillIn("/-/admin/sessions/{id}/watch", { id });
  return (
    <PlayerBox
      playerKey={id}
      make={async (container) => {
        const { playLive } = await import("./asciinema.ts");
        return playLive(path, container, { onEnded });
      }}
      player={player}
    />
  );
}

interface PlayerBoxProps {
  readonly playerKey: string;
  readonly make: (container: HTMLElement) => Promise<Play>;
  readonly player: { current: Play | undefined };
}

/** The element that the player fills. The player's code is loaded here, when there is something to play. */
function PlayerBox({ playerKey, make, player }: PlayerBoxProps): JSX.Element {
  const container = useRef<HTMLDivElement>(null);
  const [failure, setFailure] = useState<ApiFailure>();
  useEffect(() => {
    let isGone = false;
    const box = container.current;
    if (!box) return;
    setFailure(undefined);
    make(box).then(
      (made) => {
        if (isGone) made.dispose();
        else player.current = made;
      },
      () => {
        if (!isGone) setFailure(PLAYER_FAILED);
      },
    );
    return () => {
      isGone = true;
      player.current?.dispose();
      player.current = undefined;
    };
  }, [playerKey]);
  return (
    <>
      {failure && <Failure failure={failure} />}
      <div class="player" ref={container} />
    </>
  );
}

/** @returns undefined where the text is no time */
function readSeconds(text: string): number | undefined {
  const seconds = Number(text);
  return text !== "" && Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}

/** A moment of a recording, as `1:02:03` or `2:03`. */
function formatSeconds(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
