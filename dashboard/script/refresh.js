// The refresh of a served page: it asks for the last sales, and for all data when they have changed.

const REFRESH_MS = 5000;
const RETRY_MS = 15000;
const BUSY_MS = 30000;

class Refresh {
  constructor(page, live) {
    this.page = page;
    this.version = live.version;
    this.timer = null;
    this.isAsking = false;
    this.usedAt = -BUSY_MS;
  }

  start() {
    // A page in the background asks nothing; when it is shown again, or the network is back, it asks at once.
    document.addEventListener("visibilitychange", () => this.soon());
    addEventListener("online", () => this.soon());
    addEventListener("offline", () => this.page.live.setState("off"));
    for (const kind of ["pointerdown", "keydown"]) {
      addEventListener(kind, () => { this.usedAt = performance.now(); }, { capture: true });
    }
    setInterval(() => this.page.live.drawAge(), 1000);
    this.soon();
  }

  soon() {
    clearTimeout(this.timer);
    if (!document.hidden) this.ask();
  }

  async ask() {
    if (this.isAsking) return;
    this.isAsking = true;
    let pause = REFRESH_MS;
    try {
      const answer = await this.get("live");
      this.page.live.update(answer);
      if (answer.live.version !== this.version && !this.isBusy()) await this.replaceData();
    } catch (error) {
      this.page.live.setState(error.message === "403" ? "denied" : "off");
      pause = RETRY_MS;
    }
    this.isAsking = false;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.soon(), pause);
  }

  async get(path) {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(20000) });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }

  // Whether a list may be open or a date is being typed, which a new drawing would close. A control
  // keeps the focus after it was used, and must not stop the refresh for longer.
  isBusy() {
    const focused = document.activeElement;
    const isControl = focused instanceof HTMLSelectElement || focused instanceof HTMLInputElement;
    return isControl && performance.now() - this.usedAt < BUSY_MS;
  }

  async replaceData() {
    const packed = await this.get("data");
    this.version = packed.live.version;
    this.page.replaceData(new PageData(packed));
  }
}
