"""Files that start a sweep on many machines: a KubeRay RayJob, a cluster of Ray's launcher, a Slurm job."""
