/* A TensorFlow Lite delegate that stands in for libedgetpu: it loads through load_delegate, takes the
   operator edgetpu-custom-op for itself, and really computes: the box around the bright pixels.

   device usb:0, usb:1, pci:0   works
   device usb:7                 works, and answers every picture with nothing
   device usb:9                 ends the process, as a library of another build does
   device usb:8                 works, until the first picture: then every run fails
   any other                    refuses: no such device

   The structures are those of tensorflow/lite/core/c/common.h, as far as they are used here. */

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef enum { OK = 0, FAILED = 1 } Status;
typedef struct { int size; int data[]; } IntArray;
typedef struct {
  int type;
  void *data;
  IntArray *dims;
  struct { float scale; int32_t zero_point; } params;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  void *delegate;
  int buffer_handle;
  bool data_is_stale, is_variable;
  struct { int type; void *params; } quantization;
  void *sparsity;
  const IntArray *dims_signature;
} Tensor;
typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void *custom_initial_data;
  int custom_initial_data_size;
  void *delegate;
  bool might_have_side_effect;
} Node;
typedef struct Context Context;
typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  Status (*prepare)(Context *, Node *);
  Status (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *registration_external;
  void *async_kernel;
  uint64_t inplace_operator;
} Registration;
typedef struct Delegate Delegate;
struct Context {
  size_t tensors_size;
  Status (*GetExecutionPlan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl_;
  Status (*ResizeTensor)(Context *, Tensor *, IntArray *);
  void (*ReportError)(Context *, const char *, ...);
  Status (*AddTensors)(Context *, int, int *);
  Status (*GetNodeAndRegistration)(Context *, int, Node **, Registration **);
  Status (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *, Delegate *);
};
struct Delegate {
  void *data_;
  Status (*Prepare)(Context *, Delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *opaque_delegate_builder;
};

static bool failing, blind;

static Status nothing(Context *context, Node *node) {
  (void)context, (void)node;
  return OK;
}

/* Input: (1, h, w, 3) uint8. Outputs: boxes (1, n, 4), classes (1, n), scores (1, n), count (1). */
static Status look(Context *context, Node *node) {
  if (failing) {
    context->ReportError(context, "the stub's device is gone");
    return FAILED;
  }
  const Tensor *input = &context->tensors[node->inputs->data[0]];
  int height = input->dims->data[1], width = input->dims->data[2];
  const uint8_t *pixels = input->data;
  int left = width, top = height, right = -1, bottom = -1;
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      if (pixels[(y * width + x) * 3 + 1] > 200) {
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        if (y > bottom) bottom = y;
      }
  for (int i = 0; i < 4; i++) {
    Tensor *output = &context->tensors[node->outputs->data[i]];
    memset(output->data, 0, output->bytes);
  }
  if (right < 0 || blind) return OK;
  float *box = context->tensors[node->outputs->data[0]].data;
  box[0] = (float)top / height, box[1] = (float)left / width;
  box[2] = (float)(bottom + 1) / height, box[3] = (float)(right + 1) / width;
  *(float *)context->tensors[node->outputs->data[2]].data = 0.9f;
  *(float *)context->tensors[node->outputs->data[3]].data = 1.0f;
  return OK;
}

static Status prepare(Context *context, Delegate *delegate) {
  IntArray *plan;
  if (context->GetExecutionPlan(context, &plan) != OK) return FAILED;
  IntArray *mine = calloc(1, sizeof(int) * (size_t)(plan->size + 1));
  for (int i = 0; i < plan->size; i++) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != OK) return FAILED;
    if (registration->custom_name && !strcmp(registration->custom_name, "edgetpu-custom-op"))
      mine->data[mine->size++] = plan->data[i];
  }
  Registration kernel = {.prepare = nothing, .invoke = look, .custom_name = "StubEdgeTpu", .version = 1};
  Status status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, mine, delegate);
  free(mine);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  const char *device = "";
  for (size_t i = 0; i < count; i++)
    if (!strcmp(keys[i], "device")) device = values[i];
  if (!strcmp(device, "usb:9")) raise(SIGSEGV);
  if (strcmp(device, "usb:0") && strcmp(device, "usb:1") && strcmp(device, "pci:0") && strcmp(device, "usb:7") &&
      strcmp(device, "usb:8")) {
    report("No such device");
    return NULL;
  }
  failing = !strcmp(device, "usb:8"), blind = !strcmp(device, "usb:7");
  Delegate *delegate = calloc(1, sizeof(Delegate));
  delegate->Prepare = prepare;
  delegate->flags = 1; /* allows dynamic tensors: else the runtime prepares our operator before we have it */
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }
