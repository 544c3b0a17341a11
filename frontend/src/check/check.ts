/** Runs the steps of a check, and keeps its results for the page. */
import { Observable } from "../shared/observable";
import { encode } from "./code";
import { deviceOf } from "./device";
import { DeviceTest } from "./devices";
import type { Admission } from "./entry";
import { measure, SECS, type Sample } from "./measure";
import { PathTest } from "./path_test";
import { bestPath, NOTHING, PATHS, RELAY_PATHS, type Path, type Results } from "./results";
import { CheckRefused, CheckSocket, type Begun } from "./socket";
import { Sources } from "./sources";

const PINGS = 5;
/** Two devices, the socket, four paths and the measurement. */
const STEPS = 8;

export type Step = "microphone" | "camera" | "socket" | Path | "quality";

export class Check extends Observable {
  phase: "ready" | "running" | "done" = "ready";
  results: Results = NOTHING;
  /** The steps that run now. */
  readonly running = new Set<Step>();
  samples: Sample[] = [];
  /** Milliseconds of a message to the server and back; undefined before the socket was open. */
  socketMillis: number | undefined;
  /** The sentence of a server that began no check. */
  refusal: string | undefined;
  /** For support, at the end. */
  code = "";
  readonly microphone = new DeviceTest("microphone");
  readonly camera = new DeviceTest("camera");
  /** A new one for each run. */
  #paths = new Map<Path, PathTest>();
  #finished = 0;

  /** From 0 to 1. */
  get progress(): number {
    const measured = Math.min(1, (this.samples.at(-1)?.at ?? 0) / SECS);
    return (this.#finished + (this.running.has("quality") ? measured : 0)) / STEPS;
  }

  constructor(private readonly admission: Admission) {
    super();
    for (const device of [this.microphone, this.camera]) {
      device.onChange(() => this.#note({ [device.kind]: device.outcome }));
    }
  }

  /** Run all steps. Call it in a click: browsers give sound only then. */
  async run(): Promise<void> {
    if (this.phase === "running") return;
    this.phase = "running";
    this.results = NOTHING;
    this.samples = [];
    this.#finished = 0;
    this.refusal = undefined;
    this.code = "";
    const sources = new Sources();
    this.changed();
    try {
      await Promise.all([this.#devices(), this.#network(sources)]);
    } finally {
      sources.close();
      this.microphone.close();
      this.camera.close();
      this.running.clear();
      this.phase = "done";
      this.code = encode(this.results, deviceOf(navigator.userAgent), Date.now());
      this.changed();
    }
  }

  /** One after the other: browsers show one question at a time. */
  async #devices(): Promise<void> {
    await this.#step("microphone", () => this.microphone.open());
    await this.#step("camera", () => this.camera.open());
  }

  async #network(sources: Sources): Promise<void> {
    const opened = await this.#step("socket", () => this.#open());
    if (!opened) return;
    const [socket, begun] = opened;
    try {
      await this.#tryPaths(socket, begun, sources);
      const best = this.#paths.get(bestPath(this.results) ?? "direct");
      if (best && this.results[best.path] === "works") await this.#step("quality", () => this.#measure(best, sources));
    } finally {
      for (const test of this.#paths.values()) test.close();
      this.#paths.clear();
      socket.close();
    }
  }

  async #open(): Promise<[CheckSocket, Begun] | undefined> {
    try {
      const [socket, begun] = await CheckSocket.begin(this.admission);
      const times: number[] = [];
      for (let n = 0; n < PINGS; n += 1) times.push(await socket.ping(n));
      this.socketMillis = Math.min(...times);
      this.#note({ socket: "works" });
      return [socket, begun];
    } catch (error) {
      if (error instanceof CheckRefused) this.refusal = error.message;
      this.#note({ socket: error instanceof CheckRefused ? "refused" : "failed" });
      return undefined;
    }
  }

  /** All at the same time: each has a connection of its own. Those that are not measured later are closed. */
  async #tryPaths(socket: CheckSocket, begun: Begun, sources: Sources): Promise<void> {
    for (const path of RELAY_PATHS) {
      if (begun.relays[path]) continue;
      this.#finished += 1;
      this.#note({ [path]: "absent" });
    }
    const present = PATHS.filter((path) => path === "direct" || begun.relays[path]);
    await Promise.all(
      present.map((path) =>
        this.#step(path, async () => {
          const test = new PathTest(path, path === "direct" ? undefined : begun.relays[path], sources.tone);
          this.#paths.set(path, test);
          this.#note({ [path]: await test.run(socket) });
        }),
      ),
    );
    for (const [path, test] of this.#paths) {
      if (path === bestPath(this.results)) continue;
      test.close();
      socket.end(path);
    }
  }

  async #measure(test: PathTest, sources: Sources): Promise<void> {
    try {
      const quality = await measure(test, sources, (sample) => {
        this.samples = [...this.samples, sample];
        this.changed();
      });
      this.#note({ quality });
    } catch (error) {
      console.debug("measure", error); // a browser that cannot measure: the paths are known all the same
    }
  }

  async #step<T>(step: Step, work: () => Promise<T>): Promise<T> {
    this.running.add(step);
    this.changed();
    try {
      return await work();
    } finally {
      this.running.delete(step);
      this.#finished += 1;
      this.changed();
    }
  }

  #note(found: Partial<Results>): void {
    this.results = { ...this.results, ...found };
    this.changed();
  }
}
