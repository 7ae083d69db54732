"use strict";
/* Keeps a live page live: each event carries the page's body anew. Without this script the page reloads by itself. */
(() => {
  const live = document.getElementById("live");
  const button = document.querySelector("button.pause");
  if (!live || !window.EventSource) return;
  let source = null;
  const stop = () => { if (source) { source.close(); source = null; } };
  const start = () => {
    if (source || document.hidden || (button && button.getAttribute("aria-pressed") === "true")) return;
    source = new EventSource(live.dataset.stream);
    source.onmessage = (event) => {
      /* Nobody loses the place they read or the text they marked. */
      const chosen = document.getSelection();
      if (chosen && !chosen.isCollapsed && live.contains(chosen.anchorNode)) return;
      if (live.contains(document.activeElement)) return;
      live.innerHTML = event.data;
    };
    source.onerror = () => { if (source && source.readyState === EventSource.CLOSED) { stop(); setTimeout(start, 5000); } };
  };
  if (button) {
    button.hidden = false;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      const paused = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(paused));
      button.textContent = paused ? button.dataset.resume : button.dataset.pause;
      if (paused) stop(); else start();
    });
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else start(); });
  start();
})();
