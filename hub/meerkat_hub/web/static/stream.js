// The stream of what happens, and whether the hub answers at all.

// A hub that is halted, or a network that is gone, neither closes nor answers: so one that is quiet is asked.
const LOOK = 2000, QUIET = 4000, PATIENCE = 4000, AGAIN = 5000;

/** Follow the stream. `kinds`: what is done with the data of each kind; `opened` and `lost` are called as it comes and goes. */
export function follow(kinds, opened, lost) {
  let source = null, heard = 0, asking = false;

  /** Only while the page is seen: a browser opens six connections to a host, for all of its tabs. */
  function listen() {
    if (document.hidden || source?.readyState < EventSource.CLOSED) return;
    const own = source = new EventSource("api/stream");
    heard = Date.now();
    own.onopen = () => {
      heard = Date.now();
      opened();
    };
    own.onerror = () => {
      lost();
      if (own.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN);
    };
    for (const [kind, act] of Object.entries(kinds)) {
      own.addEventListener(kind, ({ data }) => {
        heard = Date.now();
        act(JSON.parse(data));
      });
    }
  }

  async function look() {
    if (asking || document.hidden || !(source?.readyState < EventSource.CLOSED) || Date.now() - heard < QUIET) return;
    const own = source;
    asking = true;
    try {
      await fetch("static/icon.svg", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      heard = Date.now();
    } catch {
      // It waits for the hub to answer again, and everything is then read anew.
      if (source === own && own.readyState < EventSource.CLOSED && Date.now() - heard >= QUIET) {
        own.close();
        lost();
        listen();
      }
    } finally {
      asking = false;
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source?.close();
    else listen();
  });
  setInterval(look, LOOK);
  listen();
}
