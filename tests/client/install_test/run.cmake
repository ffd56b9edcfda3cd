# cmake -DBUILD_DIR= -Dconsumer_DIR= -Dexample_DIR= -DWORK_DIR= -DGENERATOR= -DCXX= -DCXX_FLAGS=
#       -P run.cmake
# Installs the client to a fresh prefix, builds the consumer and the example of
# the documentation against it, runs the consumer.
function(run_step)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
run_step(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${WORK_DIR}/prefix --component client)
foreach(project consumer example)
  run_step(${CMAKE_COMMAND} -S ${${project}_DIR} -B ${WORK_DIR}/${project} -G ${GENERATOR}
           -DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix -DCMAKE_CXX_COMPILER=${CXX}
           -DCMAKE_CXX_FLAGS=${CXX_FLAGS})
  run_step(${CMAKE_COMMAND} --build ${WORK_DIR}/${project})
endforeach()
run_step(${WORK_DIR}/consumer/consumer)
