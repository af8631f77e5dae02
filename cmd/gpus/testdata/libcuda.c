/*
 * A libcuda.so.1 for tests, with the functions of the driver that gpus calls and no others. FAKE_CUDA says what it has:
 * "two" devices, "none", a "mismatch" of driver and library, or a device that is "lost".
 */
#include <stdlib.h>
#include <string.h>

static int fake(const char *what) {
  const char *has = getenv("FAKE_CUDA");
  return has != NULL && strcmp(has, what) == 0;
}

int cuInit(unsigned int flags) {
  return fake("none") ? 100 : fake("mismatch") ? 803 : 0;
}

int cuDriverGetVersion(int *version) {
  *version = 13010;
  return 0;
}

int cuDeviceGetCount(int *count) {
  *count = 2;
  return 0;
}

int cuDeviceGet(int *device, int ordinal) {
  *device = ordinal;
  return fake("lost") && ordinal == 1 ? 999 : 0;
}

int cuDeviceGetName(char *name, int size, int device) {
  strncpy(name, device == 0 ? "NVIDIA H200" : "NVIDIA L4", size);
  return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  *bytes = device == 0 ? (size_t)139 << 30 : (size_t)22 << 30;
  return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
  case 75: /* the major version of the compute capability */
    *value = device == 0 ? 9 : 8;
    return 0;
  case 76: /* the minor one */
    *value = device == 0 ? 0 : 9;
    return 0;
  }
  return 1;
}

int cuDeviceGetUuid_v2(char *uuid, int device) {
  for (int i = 0; i < 16; i++)
    uuid[i] = (char)(16 * (device + 10) + i);
  return 0;
}

/* What headers of CUDA 12 call by this name, those of CUDA 13 call by the other. */
int cuDeviceGetUuid(char *uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }
