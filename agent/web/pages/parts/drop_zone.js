// Files dropped anywhere on the page go to an uploader of NiceGUI's that nobody sees.
export default {
  template: `<div class="drop-veil" v-if="over" aria-hidden="true">Drop to submit</div>`,
  props: { uploader: Number },
  data() {
    return { over: false };
  },
  mounted() {
    this.depth = 0;
    this.listeners = {
      dragenter: (event) => this.onDrag(event, 1),
      dragleave: (event) => this.onDrag(event, -1),
      dragover: (event) => this.hasFiles(event) && event.preventDefault(),
      drop: (event) => this.onDrop(event),
    };
    for (const [name, listener] of Object.entries(this.listeners)) window.addEventListener(name, listener);
  },
  unmounted() {
    for (const [name, listener] of Object.entries(this.listeners)) window.removeEventListener(name, listener);
  },
  methods: {
    hasFiles: (event) => [...(event.dataTransfer?.types || [])].includes("Files"),
    onDrag(event, step) {
      if (!this.hasFiles(event)) return;
      event.preventDefault();
      this.depth = Math.max(0, this.depth + step);
      this.over = this.depth > 0;
    },
    onDrop(event) {
      if (!this.hasFiles(event)) return;
      event.preventDefault();
      this.depth = 0;
      this.over = false;
      const uploader = getElement(this.uploader).$refs.qRef;
      uploader.reset();
      uploader.addFiles(event.dataTransfer.files);
    },
  },
};
