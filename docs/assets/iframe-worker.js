/* Pages opened as files may start no worker, and the search is one: there, a hidden frame runs the script in its place.
   As with a worker, messages are copies and come later, not while they are sent. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.head.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.postMessage = (said) => {
        const data = structuredClone(said);
        setTimeout(() => {
          const event = new MessageEvent("message", { data });
          if (this.onmessage) this.onmessage(event);
          this.dispatchEvent(event);
        });
      };
      const script = inside.document.createElement("script");
      script.src = new URL(address, document.baseURI).href;
      this.ready = new Promise((done) => (script.onload = done));
      inside.document.head.append(script);
    }

    postMessage(said) {
      const inside = this.frame.contentWindow;
      const data = structuredClone(said);
      this.ready.then(() => setTimeout(() => inside.dispatchEvent(new inside.MessageEvent("message", { data }))));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
