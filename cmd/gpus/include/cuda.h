/*
 * Found before CUDA's own cuda.h, which it includes, this file lets gorgonia.org/cu v0.9.6 compile with the headers
 * of CUDA 13. They give the plain names of five functions that cu calls to newer forms with other arguments. The forms
 * that cu was written for are declared here again, under the names that they have in the driver's library. Headers of
 * CUDA 12 are passed on as they are.
 */
#include_next <cuda.h>

#ifndef FOCALGRID_CUDA_H
#define FOCALGRID_CUDA_H
#if CUDA_VERSION >= 13000

#undef cuCtxCreate
#define cuCtxCreate cuCtxCreate_v2
CUresult cuCtxCreate(CUcontext *context, unsigned int flags, CUdevice device);

#undef cuMemAdvise
CUresult cuMemAdvise(CUdeviceptr from, size_t bytes, CUmem_advise advice, CUdevice device);

#undef cuMemPrefetchAsync
CUresult cuMemPrefetchAsync(CUdeviceptr from, size_t bytes, CUdevice device, CUstream stream);

#undef cuGraphGetEdges
CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *edges);

#undef cuGraphAddDependencies
CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t edges);

#endif
#endif
